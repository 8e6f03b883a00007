"""A thread that notices a blocked event loop, because the loop itself cannot report that."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

BEATS = 20


def guard_loop(loop: asyncio.AbstractEventLoop, limit_s: float, fail: Callable[[BaseException], None]) -> threading.Thread:
    """Start a thread that calls ``fail`` when the loop has run nothing for ``limit_s``.

    The thread ends with the loop. It counts its own pauses, not seconds, so that the freeze of the
    whole process does not count as a blocked loop.
    """
    alive = threading.Event()

    def watch() -> None:
        missed = 0
        while missed < BEATS:
            try:
                loop.call_soon_threadsafe(alive.set)
            except RuntimeError:  # the loop is closed
                return
            time.sleep(limit_s / BEATS)
            missed = 0 if alive.is_set() else missed + 1
            alive.clear()
        fail(TimeoutError(f"the event loop was blocked for {limit_s:.0f} s"))

    thread = threading.Thread(target=watch, name="pulse", daemon=True)
    thread.start()
    return thread
