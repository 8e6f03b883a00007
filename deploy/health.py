"""Whether what runs in this container is ready: a worker by its metrics, `ouzel serve` by its own word. Exits with 0 or 1.

A program of its own: `ouzel` takes a second to import what it needs, and this runs every few seconds.
"""

from __future__ import annotations

import os
import sys
import urllib.request

WITHIN_S = 3.0


def ask(variable: str, default: str, path: str) -> bytes | None:
    """What the port of this setting answers; ``None`` for nothing, or for a refusal."""
    url = f"http://127.0.0.1:{os.environ.get(variable, default)}{path}"
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            told: bytes = answer.read()
            return told
    except OSError:
        return None


def ready() -> bool:
    """A worker that runs is asked alone: 503 by anything else on serve's port would mean nothing."""
    metrics = ask("OUZEL_METRICS_PORT", "9464", "/metrics")
    if metrics is not None:
        return b"\nouzel_ready 1.0\n" in metrics
    return ask("OUZEL_SERVE_PORT", "8080", "/health/ready") is not None


if __name__ == "__main__":
    sys.exit(0 if ready() else 1)
