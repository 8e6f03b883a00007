"""How a worker ends: the line in the log, the exit code, and a stop with a time limit."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import structlog
from mode.utils.tracebacks import format_task_stack

from streams.errors import FAILED, exit_code_at_work
from streams.life import WorkerState

log = structlog.get_logger(__name__)


def log_end(error: BaseException, state: WorkerState) -> int:
    """Log why a worker ends, and return its exit code."""
    code = exit_code_at_work(error)
    if code == FAILED:
        log.error("failed", error=repr(error), state=state, exc_info=error)
    else:
        log.error("refused", reason=str(error), state=state)
    return code


def end_now(code: int) -> None:
    """End this process without waiting for its threads and tasks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def stop_within(seconds: float, stop: Awaitable[None], fail: Callable[[BaseException], None]) -> None:
    """Await ``stop``, or call ``fail`` after so many seconds.

    It does not cancel ``stop``, because Faust's services swallow cancellations.
    """
    stopping = asyncio.ensure_future(stop)
    await asyncio.wait({stopping}, timeout=seconds)
    if not stopping.done():
        log.error("not_stopped", tasks=[format_task_stack(task) for task in asyncio.all_tasks()])
        fail(TimeoutError(f"not stopped within {seconds:.0f} s"))
        return
    stopping.result()
