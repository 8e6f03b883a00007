"""The event loop's pulse, felt by a thread: a loop that is blocked can neither see nor tell it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

BEATS = 20


def guard_loop(loop: asyncio.AbstractEventLoop, limit_s: float, fail: Callable[[BaseException], None]) -> threading.Thread:
    """Call ``fail``, from a thread that this starts, when the loop has run nothing for ``limit_s``. Ends with the loop.

    Pauses are counted, not seconds: who was frozen with the whole process is not at fault.
    """
    alive = threading.Event()

    def feel() -> None:
        missed = 0
        while missed < BEATS:
            try:
                loop.call_soon_threadsafe(alive.set)
            except RuntimeError:  # closed
                return
            time.sleep(limit_s / BEATS)
            missed = 0 if alive.is_set() else missed + 1
            alive.clear()
        fail(TimeoutError(f"the event loop was blocked for {limit_s:.0f} s"))

    thread = threading.Thread(target=feel, name="pulse", daemon=True)
    thread.start()
    return thread
