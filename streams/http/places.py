"""Decides which connections may be open at once, so that health checks always find a place."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

RESERVED = 16
"""The places that only health checks and scrapes may use."""


class Connection(Protocol):
    """A connection that holds a place."""

    def evict(self, reason: str) -> None:
        """End at once. `Places.enter` calls it on the event loop, at most once."""


class Places:
    """The places of one listener: ``most`` for any request, and `RESERVED` more.

    If all are taken, a new connection replaces the one that has been idle longest. If none is idle,
    it gets a reserved place, on which only a health check is answered. Beyond that it replaces the
    one that has been on a reserved place longest since it came or since its request was complete.
    So at most ``most + RESERVED`` connections are open.

    Every method takes the same time, however many connections are open: connecting costs a client
    next to nothing.
    """

    def __init__(self, most: int, reserved: int = RESERVED) -> None:
        self._most, self._reserve = most, reserved
        self._busy: set[Connection] = set()
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._reserved: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle) + len(self._reserved)

    def enter(self, connection: Connection) -> bool:
        """Give an idle connection a place.

        Return whether it may make any request, not only a check.
        """
        if len(self._busy) + len(self._idle) >= self._most and self._idle:
            longest, _ = self._idle.popitem(last=False)
            longest.evict("idle")
        if len(self._busy) + len(self._idle) < self._most:
            self._idle[connection] = None
            return True
        if len(self._reserved) >= self._reserve:
            oldest, _ = self._reserved.popitem(last=False)
            oldest.evict("full")
        self._reserved[connection] = None
        return False

    def busy(self, connection: Connection) -> None:
        """Note that a request is under way. Does nothing if the connection is not idle."""
        if connection in self._idle:
            del self._idle[connection]
            self._busy.add(connection)

    def idle(self, connection: Connection) -> None:
        """Note that no request is under way, or that the connection ends."""
        if connection in self._busy:
            self._busy.remove(connection)
            self._idle[connection] = None

    def renew(self, connection: Connection) -> None:
        """Note that a request is complete. On a reserved place, it is evicted after the others."""
        if connection in self._reserved:
            self._reserved.move_to_end(connection)

    def leave(self, connection: Connection) -> None:
        """Free the place of a connection. Does nothing if it has none."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)
        self._reserved.pop(connection, None)
