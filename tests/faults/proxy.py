"""A TCP proxy that can be slow, reset its connections, or be down."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

PIECE = 65536


class Proxy(threading.Thread):
    """Forwards 127.0.0.1:``port`` to 127.0.0.1:``target``. ``latency_s`` holds back each piece, either way."""

    def __init__(self, port: int, target: int) -> None:
        super().__init__(daemon=True)
        self.port, self.target = port, target
        self.latency_s = 0.0
        self.down = False
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening = threading.Event()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self._listening.set()
        self._loop.run_forever()

    def wait_listening(self) -> None:
        """Until it accepts connections."""
        assert self._listening.wait(10)

    def reset(self) -> None:
        """Cut every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def stop(self) -> None:
        """End."""
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        ways = asyncio.gather(self._forward(reader, back), self._forward(there, writer))
        with suppress(OSError, asyncio.CancelledError):
            await ways

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, piece = await due.get()
                await asyncio.sleep(max(at - self._loop.time(), 0))
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while True:
                piece = await reader.read(PIECE)
                if self.down:
                    break
                due.put_nowait((self._loop.time() + self.latency_s, piece))
                if not piece:
                    await delivering
                    break
        except OSError:
            pass
        finally:
            delivering.cancel()
            self._writers.discard(writer)
            writer.close()
