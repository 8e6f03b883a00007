from __future__ import annotations

import asyncio
import threading
import weakref
from functools import partial

import pytest
from support.processes.running import wait_until

from streams.learning.model_thread import ModelThread


async def test_jobs_run_in_the_order_in_which_they_come() -> None:
    thread, begin, ran = ModelThread(), threading.Event(), list[int]()
    first = asyncio.ensure_future(thread.run(begin.wait))
    jobs = [asyncio.ensure_future(thread.run(partial(ran.append, number))) for number in range(5)]
    await asyncio.sleep(0)  # lets every job be queued behind the first
    begin.set()
    await asyncio.gather(first, *jobs)
    thread.stop()
    assert ran == [0, 1, 2, 3, 4]


async def test_jobs_that_wait_when_the_thread_stops_never_run() -> None:
    thread, begin, ran = ModelThread(), threading.Event(), list[int]()
    first = asyncio.ensure_future(thread.run(begin.wait))
    second = asyncio.ensure_future(thread.run(partial(ran.append, 1)))
    await asyncio.sleep(0)
    threading.Timer(0.05, begin.set).start()
    thread.stop()
    await first
    assert ran == []
    second.cancel()


async def test_an_error_reaches_the_caller_and_the_thread_continues() -> None:
    thread = ModelThread()
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(threading.current_thread) is not threading.current_thread()
    thread.stop()


async def test_a_finished_job_is_freed_at_once() -> None:
    class Queries:
        pass

    thread, queries = ModelThread(), Queries()
    alive = weakref.ref(queries)
    await thread.run(partial(id, queries))
    del queries
    wait_until(lambda: alive() is None, "the finished job is freed", 10)
    thread.stop()
