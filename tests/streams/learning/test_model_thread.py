from __future__ import annotations

import asyncio
import threading
import weakref
from functools import partial

import pytest
from support.processes.running import wait_until

from streams.learning.model_thread import ModelThread


async def order(every_second: bool) -> str:
    thread = ModelThread()
    thread.yield_every_second_turn = every_second
    begin, ran = threading.Event(), []
    first = asyncio.ensure_future(thread.urgent(begin.wait))
    jobs = [asyncio.ensure_future(thread.background(lambda: ran.append("b"))) for _ in range(3)]
    jobs += [asyncio.ensure_future(thread.urgent(lambda: ran.append("u"))) for _ in range(3)]
    await asyncio.sleep(0)  # lets every job be queued behind the first
    begin.set()
    await asyncio.gather(first, *jobs)
    thread.stop()
    return "".join(ran)


async def test_ranking_has_priority_over_learning() -> None:
    assert await order(every_second=False) == "uuubbb"


async def test_a_learner_far_behind_gets_every_second_turn() -> None:
    assert await order(every_second=True) == "bububu"


async def test_an_error_reaches_the_caller_and_the_thread_continues() -> None:
    thread = ModelThread()
    with pytest.raises(ZeroDivisionError):
        await thread.urgent(lambda: 1 // 0)
    assert await thread.urgent(threading.current_thread) is not threading.current_thread()
    thread.stop()


async def test_a_finished_job_is_freed_at_once() -> None:
    class Queries:
        pass

    thread, queries = ModelThread(), Queries()
    alive = weakref.ref(queries)
    await thread.urgent(partial(id, queries))
    del queries
    wait_until(lambda: alive() is None, "the finished job is freed", 10)
    thread.stop()
