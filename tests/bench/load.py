"""HTTP load from Python.

The load is *closed*, so that each connection waits for its answer before it sends again, or
*paced*, at a rate that does not wait for slow answers.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import uvloop


class Took(NamedTuple):
    """The result of a load.

    ``latencies`` are in ms and sorted. ``failed`` counts the answers that were not 2xx.
    """

    requests: int
    seconds: float
    latencies: Sequence[float]
    failed: int

    def percentile(self, share: float) -> float:
        """The latency at this share of the requests, in ms, by nearest rank."""
        return self.latencies[max(math.ceil(share * len(self.latencies)) - 1, 0)]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class Connection:
    """One keep-alive connection to a port on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request. Returns the status and the body of its answer.

        A server may close a connection that was idle for long. As every HTTP client does, this one
        then sends the request on a new one.
        """
        reused = self._streams is not None
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self._streams = None
            if not reused:
                raise
            return await self.ask(request)
        if b"connection: close" in head.lower():
            self._streams = None
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)


def get(path: str) -> bytes:
    """The bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """The bytes of a POST request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def closed(port: int, request: Callable[[], bytes], seconds: float, connections: int) -> Took:
    """Send requests for some seconds; each connection sends the next one once it is answered."""

    async def run() -> Took:
        latencies: list[float] = []
        failed, began = 0, time.perf_counter()

        async def one() -> None:
            nonlocal failed
            connection = Connection(port)
            while (at := time.perf_counter()) < began + seconds:
                status, _ = await connection.ask(request())
                latencies.append((time.perf_counter() - at) * 1000)
                failed += status >= 300

        await asyncio.gather(*(one() for _ in range(connections)))
        return Took(len(latencies), time.perf_counter() - began, sorted(latencies), failed)

    return _run(run())


def paced(
    port: int, request: Callable[[int], bytes], count: int, rate: float, seen: Callable[[bytes], None] = lambda body: None
) -> Took:
    """Send ``count`` requests at ``rate`` per second, and pass the body of each answer to ``seen``.

    The latency of a request counts from when it was due, so a stall counts in every request behind
    it.
    """

    async def run() -> Took:
        latencies: list[float] = []
        failed, began = 0, time.perf_counter()
        idle: list[Connection] = []

        async def one(number: int, due: float) -> None:
            nonlocal failed
            connection = idle.pop() if idle else Connection(port)
            status, body = await connection.ask(request(number))
            latencies.append((time.perf_counter() - due) * 1000)
            failed += status >= 300
            seen(body)
            idle.append(connection)

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = began + number / rate
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(one(number, due))
        return Took(len(latencies), time.perf_counter() - began, sorted(latencies), failed)

    return _run(run())


def _run(load: Coroutine[Any, Any, Took]) -> Took:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load)
