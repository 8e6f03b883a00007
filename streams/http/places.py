"""Decides which connections may be open at once, so that health checks always find a place."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

RESERVED = 16
"""The places that only health checks and scrapes may use."""


class Connection(Protocol):
    """A connection that holds a place.

    `Places.enter` and the connection's owner call it on one event loop.
    """

    def idle_until(self) -> float | None:
        """Return when its keep-alive time ends, or ``None`` if a request is under way."""

    def evict(self, reason: str) -> None:
        """Answer 503 if a request is under way, and close. Nothing is read after this call."""


class Places:
    """The places of one listener: ``most`` for any request, and `RESERVED` more.

    If all are taken, a new connection replaces the one that has been idle longest. If none is idle,
    it gets a reserved place, on which only a health check is answered. Beyond that it replaces the
    oldest connection on a reserved place, so its place lasts long enough for a request that comes
    at once. So at most ``most + RESERVED`` connections are open.
    """

    def __init__(self, most: int, reserved: int = RESERVED) -> None:
        self._most, self._reserve = most, reserved
        self._open: set[Connection] = set()
        self._reserved: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open) + len(self._reserved)

    def enter(self, connection: Connection) -> bool:
        """Give a connection a place. Return whether it may make any request, not only a check."""
        if len(self._open) >= self._most and (idle := self._longest_idle()) is not None:
            self._open.discard(idle)
            idle.evict("idle")
        if len(self._open) < self._most:
            self._open.add(connection)
            return True
        if len(self._reserved) >= self._reserve:
            oldest, _ = self._reserved.popitem(last=False)
            oldest.evict("full")
        self._reserved[connection] = None
        return False

    def leave(self, connection: Connection) -> None:
        """Free the place of a connection. Does nothing if it has none."""
        self._open.discard(connection)
        self._reserved.pop(connection, None)

    def _longest_idle(self) -> Connection | None:
        idle = ((until, each) for each in self._open if (until := each.idle_until()) is not None)
        return min(idle, key=lambda found: found[0], default=(0.0, None))[1]
