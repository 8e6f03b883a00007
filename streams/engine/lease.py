"""The lease against zombies: who has not heard from the group of late does not speak.

A worker that was frozen, or cut off, for longer than the session timeout has lost its partitions without knowing. So nothing
is sent unless the last successful heartbeat was *sent* less than 0.8 session timeouts ago.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

SHARE = 0.8
POLL_S = 0.05


def boot_clock() -> float:
    """Seconds that run on while the machine is suspended, as the group's coordinator's do; `time.monotonic` stands still."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """Freshness of the group membership. ``beat`` and ``reset`` come from the consumer's thread."""

    def __init__(self, session_timeout_s: float, clock: Callable[[], float] = boot_clock) -> None:
        self._limit = SHARE * session_timeout_s
        self.clock = clock
        self._beat = -math.inf

    def beat(self, sent_at: float) -> None:
        """The group has confirmed our membership in answer to a request that was sent at this time of the clock."""
        self._beat = max(self._beat, sent_at)

    def reset(self) -> None:
        """The group has told us that we are no member: nothing may be sent until the next ``beat``."""
        self._beat = -math.inf

    @property
    def fresh(self) -> bool:
        """Whether we may send."""
        return self.clock() - self._beat < self._limit

    async def wait(self, held: Callable[[], bool]) -> bool:
        """Wait while stale, for as long as ``held`` says that the partitions may still be ours; returns whether it is fresh."""
        while not self.fresh:
            if not held():
                return False
            await asyncio.sleep(POLL_S)
        return True
