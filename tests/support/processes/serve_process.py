"""`ouzel serve` as a process, and requests to it."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from support.processes.running import WorkerProcess, wait_until

from streams.settings import Settings

JSON = {"content-type": "application/json"}


class Answer(NamedTuple):
    """A response; ``body`` is decoded if it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class ServeProcess(WorkerProcess):
    """A process of `ouzel serve`, on its own port."""

    def __init__(self, settings: Settings, log: Path, **extra: str) -> None:
        super().__init__(settings, log, **extra)
        self._command = [sys.executable, "-m", "serving.cli", "serve"]
        self._environment |= {"OUZEL_SERVE_PORT": str(self.port), "OUZEL_SERVE_WORKER_METRICS": "[]", **extra}

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until it has caught up with its topics."""
        wait_until(lambda: not self.alive or self.metrics().get("ouzel_serve_ready") == 1, "serve ready", timeout_s)
        assert self.alive, self.tail()

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout_s: float = 10.0
    ) -> Answer:
        """Send one request on a new connection. A body of another type is sent as JSON."""
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        sent = (JSON if body is not None else {}) | (headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            content: Any = response.read()
            if content and "json" in response.headers.get("content-type", "").partition(";")[0]:
                content = json.loads(content)
            return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)
        finally:
            connection.close()
