"""A follower while Kafka is away: it waits, and then reads on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from support.fake_log import Log, follow

from streams.kafka.follower import Follower
from streams.wire.record import KafkaRecord


class Reading:
    """A follower of a `Log` and the offsets that it has applied."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        follow(log, monkeypatch)
        self.applied: list[int] = []
        self.follower = Follower("items", {}, self._apply, **options)

    async def _apply(self, records: Sequence[KafkaRecord]) -> None:
        self.applied += [record.offset for record in records]


async def until(condition: Callable[[], bool], task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not condition() and not task.done():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "faults",
    [
        [("start", KafkaConnectionError("refused")), ("start", KafkaConnectionError("refused"))],
        [("end_offsets", KafkaTimeoutError("late"))],
        [("assignment", UnknownTopicOrPartitionError())],
        [
            ("getmany", NodeNotReadyError("gone")),
            ("start", KafkaConnectionError("refused")),
            ("end_offsets", KafkaTimeoutError()),
        ],
    ],
    ids=["no broker", "no ends", "no partitions", "while reading"],
)
async def test_it_waits_and_then_applies_each_record_once(
    monkeypatch: pytest.MonkeyPatch, faults: list[tuple[str, Exception]]
) -> None:
    log = Log(*faults)
    log.end = 7
    reading = Reading(log, monkeypatch)
    task = asyncio.ensure_future(reading.follower.run())
    await until(reading.follower.caught_up.is_set, task)
    assert not task.done()
    assert log.faults == []
    assert reading.applied == list(range(7))
    assert (log.consumers, log.open) == (len(faults) + 1, 1), "every consumer that failed is closed"
    task.cancel()


async def test_it_waits_when_it_looks_for_the_end_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.end = 2
    reading = Reading(log, monkeypatch)
    task = asyncio.ensure_future(reading.follower.run())
    await until(reading.follower.caught_up.is_set, task)
    log.end, log.faults = 5, [("end_offsets", KafkaTimeoutError("late")), ("start", KafkaConnectionError("refused"))]
    await asyncio.wait_for(reading.follower.look_again(), 10)
    assert log.faults == []
    assert reading.applied == list(range(5))
    task.cancel()


async def test_a_follower_from_the_end_misses_nothing_that_came_after_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.end = 3
    reading = Reading(log, monkeypatch, from_end=True)
    task = asyncio.ensure_future(reading.follower.run())
    await until(reading.follower.caught_up.is_set, task)
    log.faults = [("getmany", NodeNotReadyError("gone")), ("start", KafkaConnectionError("refused"))]
    await until(lambda: len(log.faults) == 1, task)
    log.end = 8
    await until(lambda: len(reading.applied) == 5, task)
    assert reading.applied == [3, 4, 5, 6, 7]
    task.cancel()


async def test_an_error_that_waiting_does_not_fix_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(Log(("start", TopicAuthorizationFailedError("items"))), monkeypatch)
    with pytest.raises(TopicAuthorizationFailedError):
        await asyncio.wait_for(reading.follower.run(), 10)


class Rests:
    """Replaces the long pauses of followers: each is noted, and never ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, never, sleep = list[float](), asyncio.Event(), asyncio.sleep

        async def rest(seconds: float) -> None:
            if seconds < 1:
                return await sleep(seconds)
            self.seconds.append(seconds)
            await never.wait()

        monkeypatch.setattr(asyncio, "sleep", rest)


async def test_a_follower_rests_at_the_end_of_the_log_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Log` gives two records a read, so only the third read of five reaches the end."""
    log = Log()
    log.end = 5
    reading, rests = Reading(log, monkeypatch, rest_s=3600.0), Rests(monkeypatch)
    task = asyncio.ensure_future(reading.follower.run())
    await until(lambda: bool(rests.seconds), task)
    assert rests.seconds == [pytest.approx(3600.0, abs=60)]
    assert reading.applied == list(range(5)), "records that were read do not wait for the rest"
    task.cancel()


async def test_records_behind_an_open_transaction_do_not_keep_a_follower_from_resting(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.end, log.stable = 9, 2
    reading, rests = Reading(log, monkeypatch, rest_s=3600.0), Rests(monkeypatch)
    task = asyncio.ensure_future(reading.follower.run())
    await until(lambda: bool(rests.seconds), task)
    assert reading.applied == [0, 1]
    task.cancel()


async def test_a_follower_asks_for_the_end_while_no_fetch_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker answers a connection's requests in order, so a waiting fetch would delay it."""
    log = Log()
    log.end = 2
    reading = Reading(log, monkeypatch)
    task = asyncio.ensure_future(reading.follower.run())
    await until(reading.follower.caught_up.is_set, task)
    assert log.asked_while_fetching == 0
    task.cancel()
