"""The background tasks of a process: an error ends it, and a stop ends them."""

from __future__ import annotations

import asyncio

from streams.tasks import Tasks


async def test_a_task_that_raises_ends_the_process_unless_it_is_closing() -> None:
    failures: list[BaseException] = []
    tasks, error = Tasks(failures.append), ValueError("gone")

    async def dies() -> None:
        raise error

    async def ends() -> None: ...

    spawned = [tasks.spawn(dies()), tasks.spawn(ends()), tasks.spawn(asyncio.sleep(60))]
    spawned[2].cancel()
    await asyncio.wait(spawned)
    assert failures == [error]
    tasks.closing()
    await asyncio.wait([tasks.spawn(dies())])
    assert failures == [error], "an error during the stop does not cut it short"


async def test_tasks_are_cancelled_together() -> None:
    tasks = Tasks(lambda error: None)
    spawned = [tasks.spawn(asyncio.sleep(60)) for _ in range(3)]
    assert set(tasks.cancel()) == set(spawned)
    await asyncio.wait(spawned)
    assert all(task.cancelled() for task in spawned)
    assert tasks.cancel() == []
