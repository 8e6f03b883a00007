"""The lease against zombies: a worker that has not recently heard from the group sends nothing.

A worker that was frozen or cut off for longer than the session timeout has lost its partitions
without noticing. So nothing is sent unless the last successful heartbeat was *sent* less than 0.8
session timeouts ago.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

SHARE = 0.8
POLL_S = 0.05


def boot_clock() -> float:
    """Return the seconds since the boot, including the time that the machine was suspended.

    `time.monotonic` stops during a suspension, but the coordinator's clock does not.
    """
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The lease of one worker: when the group last confirmed its membership.

    The consumer's thread calls ``beat`` and ``reset``, the event loop the rest.
    """

    def __init__(self, session_timeout_s: float, clock: Callable[[], float] = boot_clock) -> None:
        self._limit = SHARE * session_timeout_s
        self.clock = clock
        self._beat = -math.inf

    def beat(self, sent_at: float) -> None:
        """Renew the lease: the group has confirmed a request that was sent at ``sent_at``."""
        self._beat = max(self._beat, sent_at)

    def reset(self) -> None:
        """End the lease: the group says that we are not a member. The next ``beat`` renews it."""
        self._beat = -math.inf

    @property
    def fresh(self) -> bool:
        """Whether we may send."""
        return self.clock() - self._beat < self._limit

    async def wait(self, may_be_ours: Callable[[], bool]) -> bool:
        """Wait until the lease is fresh, or ``may_be_ours`` says that the partitions are lost.

        Returns whether the lease is fresh.
        """
        while not self.fresh:
            if not may_be_ours():
                return False
            await asyncio.sleep(POLL_S)
        return True
