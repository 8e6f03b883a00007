"""The background tasks of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """Tasks that run beside the main work of a process and end with it.

    A task that raises ends the process through ``fail``. After `closing`, errors of tasks are
    ignored: the process is leaving, and an error must not interrupt that. Use this object on one
    event loop only.
    """

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self.fail = fail
        self._running: set[asyncio.Task[None]] = set()
        self._closing = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task. It runs until it returns or is cancelled, by the caller or by `cancel`."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def closing(self) -> None:
        """Ignore errors of tasks from now on."""
        self._closing = True

    def cancel(self) -> list[asyncio.Task[None]]:
        """Cancel every task that still runs, and return them.

        A caller that depends on their end has to await them.
        """
        running = list(self._running)
        for task in running:
            task.cancel()
        return running

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closing:
            self.fail(error)
