"""The health check of a container: exits with 0 if its worker or serve is ready, else with 1.

It is a program of its own because it runs every few seconds, and `ouzel` needs a second to import.
"""

from __future__ import annotations

import os
import sys
import urllib.request

WITHIN_S = 3.0


def ask(variable: str, default: str, path: str) -> bytes | None:
    """GET a path on the port in this environment variable; ``None`` if that fails."""
    url = f"http://127.0.0.1:{os.environ.get(variable, default)}{path}"
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return None


def ready() -> bool:
    """Whether the process is ready.

    If a worker answers, only its metrics count: nothing in this container should answer on serve's
    port.
    """
    metrics = ask("OUZEL_METRICS_PORT", "9464", "/metrics")
    if metrics is not None:
        return b"\nouzel_ready 1.0\n" in metrics
    return ask("OUZEL_SERVE_PORT", "8080", "/health/ready") is not None


if __name__ == "__main__":
    sys.exit(0 if ready() else 1)
