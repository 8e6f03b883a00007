"""An HTTP listener with Ouzel's bounds in this process, and raw connections to attack it with."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from streams.http.bounds import Bounds
from streams.http.listener import listen
from streams.http.places import Places
from streams.http.protocol import STREAMED
from streams.http.server import bounded_server

HOST = b"host: localhost\r\n"


class Listener:
    """A listener on its own port.

    ``ended`` counts why connections ended early; ``connections`` are the open ones.
    """

    def __init__(self, most: int = 50, reserved: int = 4, timeout_s: float = 0.5, max_head_bytes: int = 16_384) -> None:
        self.ended: Counter[str] = Counter()
        self.places = Places(most, reserved)
        self.streams = self.requests = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._bounds = Bounds(self.places, max_head_bytes, timeout_s, lambda reason: self.ended.update([reason]), "/reference")
        self._socket = listen("127.0.0.1", 0)
        self.connections: set[Any] = set()
        self.port = self._socket.getsockname()[1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an app.

        ``/stream`` is answered for ever, ``/fail`` in part, ``/deny`` before the body has come, and
        other paths after it.
        """
        self.requests += 1
        if scope["path"] == "/stream":
            await self._stream(scope, receive, send)
            return
        if scope["path"] == "/fail":
            await self._fail(send)
        while scope["path"] != "/deny":
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if not message.get("more_body"):
                break
        if scope["path"] == "/slow":
            await asyncio.sleep(0.2)
        self.headers = list(scope["headers"])
        size = 16_000_000 if scope["path"] == "/large" else 2
        status = 401 if scope["path"] == "/deny" else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"x" * size})

    async def _fail(self, send: Send) -> None:
        """Fail in the middle of an answer, once the only client has not read all of it."""
        (connection,) = self.connections
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000000")]})
        while not connection.transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
        raise ValueError("the app fails")

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[STREAMED] = True
        self.streams += 1
        left = asyncio.ensure_future(_left(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b": begun\n\n", "more_body": True})
            await left
        finally:
            left.cancel()
            self.streams -= 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Listener]:
        """Listen until the end of the context."""
        server = bounded_server(self, self._bounds, 5, stop_within_s=1)
        self.connections = server.server_state.connections
        serving = asyncio.ensure_future(server._serve([self._socket]))  # `serve` would take over the signals
        try:
            while not server.started:
                await asyncio.sleep(0.001)
            yield self
        finally:
            server.should_exit = True
            await serving


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def exchange(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts on a new connection. Return all that comes back until the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.ensure_future(_send(writer, parts, pause_s))
    got = b""
    with suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65_536), 10):
            got += part
    sending.cancel()
    writer.close()
    return got


async def _send(writer: asyncio.StreamWriter, parts: tuple[bytes, ...], pause_s: float) -> None:
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)


async def until(condition: Callable[[], bool], what: str, within_s: float = 5.0) -> None:
    """Wait until a condition holds, or fail."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)


def statuses(answer: bytes) -> Iterator[int]:
    """The statuses of the answers on one connection."""
    for line in answer.split(b"HTTP/1.1 ")[1:]:
        yield int(line[:3])


def connect(port: int) -> socket.socket:
    """Open a connection that sends nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)
