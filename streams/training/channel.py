"""The channel between a trainer and the process that started it: lines of JSON on a socket pair.

The end of the channel is the end of the other process, whatever ended it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TypeVar

import msgspec

MOST_WAITING = 1 << 16
"""Bytes that may wait for a process that does not read, such as one that is frozen."""
M = TypeVar("M", bound=msgspec.Struct)


class Order(msgspec.Struct):
    """What a trainer has to know: the generation of the group that has elected it."""

    generation: int


class Report(msgspec.Struct):
    """What a trainer reports four times a second: see `streams.training.relay`.

    ``totals`` and ``levels`` are values of counters and of gauges by the names of their attributes
    in `ModelMetrics`. ``step_seconds`` are the durations of the learning steps since the last
    report.
    """

    totals: dict[str, float]
    levels: dict[str, float | None]
    step_seconds: list[float] = []


class Channel:
    """One end of the channel, on an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def on(cls, end: socket.socket) -> Channel:
        """Return the channel of this end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: msgspec.Struct) -> bool:
        """Send a message, and return whether it was sent: the other process may not read."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MOST_WAITING:
            return False
        self._writer.write(msgspec.json.encode(message) + b"\n")
        return True

    async def receive(self, kind: type[M]) -> M | None:
        """Return the next message; ``None`` at the end of the channel."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return msgspec.json.decode(line, type=kind) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Close this end."""
        self._writer.close()
