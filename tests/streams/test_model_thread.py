from __future__ import annotations

import asyncio
import threading

import pytest

from streams.model_thread import ModelThread


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


async def test_ranking_goes_before_learning() -> None:
    assert await order(every_second=False) == "uuubbb"


async def test_a_learner_far_behind_gets_every_second_turn() -> None:
    assert await order(every_second=True) == "bububu"


async def test_an_error_reaches_whoever_asked_and_the_thread_goes_on() -> None:
    thread = ModelThread()
    with pytest.raises(ZeroDivisionError):
        await thread.urgent(lambda: 1 // 0)
    assert await thread.urgent(threading.current_thread) is not threading.current_thread()
    thread.stop()
