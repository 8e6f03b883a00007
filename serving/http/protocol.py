"""Adds bounds to uvicorn's HTTP/1.1 protocol that it lacks.

The bounds limit the size of a request's head (its request line and headers), the time that a slow
client may take, and the number of connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.http.problems import PROBLEM_JSON, Problem
from serving.state.telemetry import ServingTelemetry
from streams.settings import Settings


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with bounds.

    It answers a head that is too large with 431, a head that is too slow with 408, and a connection
    above the limit with 503. It disconnects a client that does not read its answers. asyncio and
    uvicorn call the methods on the event loop, as they call those of the base class.
    """

    telemetry: ServingTelemetry
    max_connections: int
    max_head_bytes: int
    timeout_s: float

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head, self._head_bytes = True, 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._full = len(self.connections) >= self.max_connections
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.timeout_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._head_timer)
        self._stop(self._write_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._full:
            most = self.max_connections
            self._refuse(Problem("busy", f"{most} connections are open, at most {most}", headers={"retry-after": "1"}), "full")
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._head_bytes > self.max_head_bytes:
            detail = f"request line and headers may have at most {self.max_head_bytes} bytes: send fewer or shorter headers"
            self._refuse(Problem("head-too-large", detail), "head")
        elif self._head_bytes and self._head_timer is None:  # another request begins
            self._head_timer = self.loop.call_later(self.timeout_s, self._too_slow)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.timeout_s, self._not_read)

    def resume_writing(self) -> None:
        self._stop(self._write_timer)
        self._write_timer = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():  # a clean close would wait for the client
            self._not_read()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("malformed", msg), "malformed")

    def _too_slow(self) -> None:
        if self._head_bytes:
            self._refuse(Problem("too-slow", f"the headers did not end within {self.timeout_s:g} s"), "slow_head")
        elif not self.transport.is_closing():
            self.transport.close()

    def _not_read(self) -> None:
        self.telemetry.cut.labels("slow_reader").inc()
        self.transport.abort()

    def _refuse(self, problem: Problem, reason: str) -> None:
        if self.transport.is_closing():
            return
        self.telemetry.cut.labels(reason).inc()
        body = problem.body()
        headers = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), "connection": "close"} | problem.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[problem.status] + lines.encode() + b"\r\n" + body)
        self.transport.close()

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def bounded(settings: Settings, telemetry: ServingTelemetry) -> type[BoundedProtocol]:
    """Return the protocol's class with the bounds of the settings as class attributes.

    They are class attributes because uvicorn creates the instances, one per connection, and cannot
    pass them other arguments.
    """
    bounds = {
        "telemetry": telemetry,
        "max_connections": settings.serve_max_connections,
        "max_head_bytes": settings.serve_max_head_bytes,
        "timeout_s": settings.serve_client_timeout_s,
    }
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
