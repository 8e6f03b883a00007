"""A TCP proxy that can be slow, reset its connections or refuse them, and a broker behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from serving.demo.brokers import ApacheBroker
from serving.demo.processes import free_ports

PIECE = 65536


class Proxy(threading.Thread):
    """Forwards 127.0.0.1:``port`` to 127.0.0.1:``target``, and the answers back.

    ``latency_s`` delays each piece in each direction. While ``down`` is set, the proxy forwards
    nothing and accepts no connection. Any thread may change both at any time.
    """

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
        """Wait until the proxy accepts connections."""
        assert self._listening.wait(10), "the proxy does not listen after 10 s"

    def reset(self) -> None:
        """Cut every open connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def stop(self) -> None:
        """Cut every connection and end the thread."""
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
            from_target, to_target = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = asyncio.gather(self._forward(reader, to_target), self._forward(from_target, writer))
        with suppress(OSError, asyncio.CancelledError):
            await both

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


class ProxiedBroker(ApacheBroker):
    """A broker with one more listener, which clients reach only through ``proxy``.

    The rig starts the proxy; the broker only advertises its address.
    """

    def __init__(self, home: Path, overrides: Mapping[str, str]) -> None:
        super().__init__(home, overrides)
        before, behind = free_ports(2)
        self.proxy = Proxy(before, behind)

    def properties(self) -> dict[str, str]:
        """The configuration with the listener behind the proxy."""
        properties = super().properties()
        properties["listeners"] += f",PROXIED://127.0.0.1:{self.proxy.target}"
        properties["advertised.listeners"] += f",PROXIED://127.0.0.1:{self.proxy.port}"
        return properties | {"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"}
