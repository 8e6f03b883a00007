"""The lease against zombies: who has not heard from the group of late does not speak.

A worker that was frozen, or cut off, for longer than the session timeout has lost its partitions without knowing. So nothing
is sent unless the last successful heartbeat was *sent* less than 0.8 session timeouts ago.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SHARE = 0.8
POLL_S = 0.05


class Lease:
    """Freshness of the group membership. ``beat`` may come from another thread than the rest."""

    def __init__(self, session_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = SHARE * session_timeout_s
        self.clock = clock
        self._beat = clock()

    def beat(self, sent_at: float) -> None:
        """A heartbeat that was sent at this time of the clock has succeeded."""
        self._beat = max(self._beat, sent_at)

    @property
    def fresh(self) -> bool:
        """Whether we may send."""
        return self.clock() - self._beat < self._limit

    async def wait(self, held: Callable[[], bool]) -> bool:
        """Wait while stale; returns whether the partitions are still ours, by ``held``."""
        while held():
            if self.fresh:
                return True
            await asyncio.sleep(POLL_S)
        return False
