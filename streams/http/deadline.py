"""A time by which something must have happened on a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls a function once, ``seconds`` after `start`, unless it is stopped before.

    It keeps the function only while it runs, so a connection and its deadlines do not form a cycle
    that only a garbage collection would free. Use it on one event loop only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop, self._seconds = loop, seconds
        self._timer: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether it has started, and has neither expired nor stopped."""
        return self._timer is not None

    def start(self, expired: Callable[[], None]) -> None:
        """Start, unless it has started already: more bytes do not give a client more time."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._expire, expired)

    def stop(self) -> None:
        """Stop, if it has started."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, expired: Callable[[], None]) -> None:
        self._timer = None
        expired()
