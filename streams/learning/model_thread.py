"""The thread that owns the model.

Ranking has priority over learning; the event loop never computes.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ModelThread:
    """Runs jobs one at a time on a thread of its own, urgent ones first.

    With ``yield_every_second_turn``, waiting background jobs get every second turn. It is set while
    learning is far behind, so that a stream of rankings cannot starve it. Jobs are submitted on the
    event loop.
    """

    def __init__(self) -> None:
        self.yield_every_second_turn = False
        self._ready = threading.Condition()
        self._urgent: deque[Callable[[], None]] = deque()
        self._background: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    async def urgent(self, job: Callable[[], T]) -> T:
        """Run a ranking, and return its result. Raises what the job raises."""
        return await self._submit(self._urgent, job)

    async def background(self, job: Callable[[], T]) -> T:
        """Run a learning step or other work on the model, and return its result. See `urgent`."""
        return await self._submit(self._background, job)

    def stop(self) -> None:
        """End the thread after the current job. Waiting jobs never run."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join()

    async def _submit(self, queue: deque[Callable[[], None]], job: Callable[[], T]) -> T:
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

        with self._ready:
            queue.append(run)
            self._ready.notify()
        return await done

    def _run(self) -> None:
        background_turn = False
        while True:
            with self._ready:
                while not (self._urgent or self._background or self._stopping):
                    self._ready.wait()
                if self._stopping:
                    return
                from_background = self._background and (not self._urgent or (background_turn and self.yield_every_second_turn))
                job = (self._background if from_background else self._urgent).popleft()
                background_turn = not from_background
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
