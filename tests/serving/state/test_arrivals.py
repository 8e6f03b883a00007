"""A wait ends with the right ranking, and a slow stream takes bounded memory."""

from __future__ import annotations

import asyncio

from serving.state.arrivals import QUEUED, QUEUED_BYTES, Arrivals
from serving.state.cache import CachedRanking


def ranking(owner: str, trigger_offset: int, partition: int = 0, value: bytes = b"") -> CachedRanking:
    return CachedRanking(owner, None, partition, trigger_offset, trigger_offset, "", 0, "hybrid", value)


async def test_a_wait_ends_with_the_first_ranking_at_or_past_the_offset() -> None:
    arrivals = Arrivals(lambda: None)
    waits = asyncio.create_task(arrivals.after("ann", 1, 7, 5.0))
    await asyncio.sleep(0)
    for other in (ranking("bob", 9, 1), ranking("ann", 9, 2), ranking("ann", 6, 1)):
        arrivals.arrived(other)
    await asyncio.sleep(0)
    assert not waits.done()
    arrivals.arrived(ranking("ann", 8, 1))
    arrivals.arrived(ranking("ann", 9, 1))
    fresh = await waits
    assert fresh is not None
    assert fresh.trigger_offset == 8
    assert arrivals.waiting == 0


async def test_a_wait_ends_and_leaves_nothing_behind() -> None:
    arrivals = Arrivals(lambda: None)
    assert await arrivals.after("ann", 0, 0, 0.01) is None
    waits = asyncio.create_task(arrivals.after("ann", 0, 0, 5.0))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert arrivals.waiting == 0


async def test_a_slow_stream_keeps_the_newest_rankings_and_learns_of_a_deletion() -> None:
    skipped: list[None] = []
    arrivals = Arrivals(lambda: skipped.append(None))
    with arrivals.stream("ann") as stream, arrivals.stream(None) as sample:
        assert (len(arrivals), arrivals.streams_of("ann"), arrivals.streams_of("bob")) == (2, 1, 0)
        for offset in range(QUEUED + 5):
            arrivals.arrived(ranking("ann", offset))
        arrivals.removed("ann")
        assert await stream.wait(1.0)
        taken = stream.take()
        assert [one and one.trigger_offset for one in taken] == [*range(6, QUEUED + 5), None]
        assert len(skipped) == 6
        assert not await stream.wait(0.01)
        assert [one and one.trigger_offset for one in sample.take()] == [QUEUED + 4]
    assert len(arrivals) == 0


async def test_the_end_wakes_every_stream_and_ends_later_ones() -> None:
    arrivals = Arrivals(lambda: None)
    with arrivals.stream("ann") as stream:
        waits = asyncio.create_task(stream.wait(5.0))
        await asyncio.sleep(0)
        arrivals.end()
        assert not await waits
        assert stream.ended
    with arrivals.stream("bob") as later:
        assert later.ended


async def test_what_waits_for_a_slow_stream_is_bounded_in_bytes() -> None:
    skipped: list[None] = []
    arrivals = Arrivals(lambda: skipped.append(None))
    with arrivals.stream("ann") as stream:
        for offset in range(4):
            arrivals.arrived(ranking("ann", offset, value=bytes(QUEUED_BYTES // 2 - 1000)))
        assert [one and one.trigger_offset for one in stream.take()] == [2, 3]
        arrivals.arrived(ranking("ann", 4))
        arrivals.arrived(ranking("ann", 5, value=bytes(QUEUED_BYTES)))
        assert [one and one.trigger_offset for one in stream.take()] == [5], "the newest is never skipped"
        for offset in range(QUEUED):
            arrivals.arrived(ranking("ann", offset, value=bytes(6000)))
        assert len(stream.take()) == QUEUED, "ordinary rankings are bounded by their number"
    assert len(skipped) == 3


async def test_a_stream_that_is_woken_takes_nothing_and_can_wait_again() -> None:
    arrivals = Arrivals(lambda: None)
    with arrivals.stream("ann") as stream, arrivals.stream(None) as sample:
        waits = [asyncio.create_task(one.wait(60.0)) for one in (stream, sample)]
        await asyncio.sleep(0)
        arrivals.wake()
        assert await asyncio.gather(*waits) == [False, False]
        assert not stream.ended
        assert not await stream.wait(0.01)
        arrivals.arrived(ranking("ann", 1))
        assert await stream.wait(1.0)
