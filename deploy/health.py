"""The health check of a container: exits with 0 if its process is ready, otherwise with 1.

It is a separate program because it runs every few seconds, and importing `ouzel` takes a second.
"""

from __future__ import annotations

import os
import sys
import urllib.request

WITHIN_S = 3.0
READY = (b"\nouzel_ready 1.0\n", b"\nouzel_intake_ready 1.0\n", b"\nouzel_learner_ready 1.0\n")
"""The line that a ready worker, intake or learner has among its metrics."""


def ask(variable: str, default: str, path: str) -> bytes | None:
    """GET a path on the port in this environment variable. Return ``None`` if that fails."""
    url = f"http://127.0.0.1:{os.environ.get(variable, default)}{path}"
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return None


def ready() -> bool:
    """Tell whether the process of this container is ready.

    If the metrics port answers, the container runs a worker, an intake or a learner, and serve's
    port is not tried.
    """
    metrics = ask("OUZEL_METRICS_PORT", "9464", "/metrics")
    if metrics is not None:
        return any(line in metrics for line in READY)
    return ask("OUZEL_SERVE_PORT", "8080", "/health/ready") is not None


if __name__ == "__main__":
    sys.exit(0 if ready() else 1)
