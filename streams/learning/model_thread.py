"""The thread that owns the model. The event loop never computes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class ModelThread:
    """Runs jobs one at a time, in the order in which the event loop submits them."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job, and return its result. Raises what the job raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                settle: Callable[..., Any] = _set_result
                outcome: Any = job()
            except BaseException as error:  # for the caller to handle
                settle, outcome = _set_exception, error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, done, outcome)

        self._jobs.put(run)
        return await done

    def stop(self) -> None:
        """End the thread after the current job. Waiting jobs never run."""
        self._stopping = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopping:
            job()
            # Otherwise the queries of a unit stay alive until the next job, and this thread frees
            # them. The thread that created them frees them faster.
            del job


def _set_result(done: asyncio.Future[T], outcome: T) -> None:
    if not done.done():
        done.set_result(outcome)


def _set_exception(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
