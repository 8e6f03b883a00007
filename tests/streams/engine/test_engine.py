"""The engine without its recovery: lease, custody, polls, seeks, and how a producer is closed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.consumer import PollConsumer
from streams.engine.custody import Custody, CustodyBroken
from streams.engine.faust_app import App
from streams.engine.lease import Lease
from streams.engine.oldest import Oldest
from streams.engine.producer import close_unflushed
from streams.engine.thread import note_answer
from streams.engine.unit import Unit
from streams.errors import Abandoned
from streams.kafka.positions import LogWentBack

ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 22, 25, 27


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_lease_is_fresh_for_four_fifths_of_the_session_timeout_after_the_heartbeat_was_sent() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    assert not lease.fresh
    lease.beat(100.0)
    clock.now = 107.9
    assert lease.fresh
    clock.now = 108.0
    assert not lease.fresh
    lease.beat(105.0)
    assert lease.fresh
    lease.beat(101.0)
    clock.now = 112.9
    assert lease.fresh


@pytest.mark.parametrize(
    ("code", "fresh"), [(0, True), (REBALANCING, False), (UNKNOWN_MEMBER, False), (ILLEGAL_GENERATION, False)]
)
def test_only_a_plain_answer_renews_the_lease(code: int, fresh: bool) -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    lease.beat(100.0)
    clock.now = 107.0
    note_answer(lease, 107.0, code)
    clock.now = 109.0
    assert lease.fresh is fresh


def test_an_answer_that_we_are_no_member_ends_the_lease_at_once() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    lease.beat(100.0)
    note_answer(lease, 100.0, REBALANCING)
    assert lease.fresh
    note_answer(lease, 100.0, UNKNOWN_MEMBER)
    assert not lease.fresh


async def test_a_stale_lease_waits_until_it_is_fresh_or_the_partitions_are_lost() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    clock.now = 200.0
    turns = 0

    def may_be_ours() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            lease.beat(clock.now)
        return True

    assert await lease.wait(may_be_ours)
    assert turns == 3
    clock.now = 300.0
    assert not await lease.wait(lambda: False)


class Group:
    """The part of an app that `App.may_send` uses."""

    def __init__(self, lease: Lease) -> None:
        self.lease, self.consumer_generation_id, self.rebalancing = lease, 4, False

    def holds(self, generation: int) -> bool:
        return App.holds(self, generation)  # type: ignore[arg-type]

    async def may_send(self, generation: int) -> bool:
        return await App.may_send(self, generation)  # type: ignore[arg-type]


async def test_a_unit_in_flight_may_finish_in_a_rebalance_while_the_lease_is_fresh() -> None:
    """A unit that is given up between its outputs and its changelog repeats its outputs.

    That happened in a hand-over without any crash.
    """
    clock = Clock()
    group = Group(Lease(10.0, clock))
    group.lease.beat(100.0)
    group.rebalancing = True
    assert await group.may_send(4)
    clock.now = 108.1
    assert not await group.may_send(4)


async def test_a_unit_of_an_earlier_generation_may_not_go_on_however_fresh_the_lease() -> None:
    group = Group(Lease(10.0, clock := Clock()))
    group.lease.beat(clock.now)
    assert not await group.may_send(3)
    clock.now = 200.0
    asyncio.get_running_loop().call_soon(group.lease.beat, clock.now)
    assert await group.may_send(4)


def unit(custody: Custody, offsets: dict[int, list[int]]) -> Unit:
    records: dict[int, list[Any]] = {p: [SimpleNamespace(offset=o) for o in of_p] for p, of_p in offsets.items()}
    return Unit(records, 1, {p: custody.deliver(p, of_p[-1]) for p, of_p in offsets.items()})


def test_units_that_are_acknowledged_in_order_move_the_offset_to_commit() -> None:
    custody = Custody()
    custody.ack(unit(custody, {0: [5, 6], 1: [0]}))
    custody.ack(unit(custody, {0: [9]}))
    assert custody.to_commit == {0: 10, 1: 1}


def test_a_missing_unit_breaks_custody_and_commits_nothing() -> None:
    custody = Custody()
    custody.ack(unit(custody, {0: [5]}))
    unit(custody, {0: [6]})
    with pytest.raises(CustodyBroken):
        custody.ack(unit(custody, {0: [7], 1: [3]}))
    assert custody.to_commit == {0: 6}


def test_a_seek_starts_a_new_chain() -> None:
    custody = Custody()
    unit(custody, {0: [5]})
    custody.reset()
    custody.ack(unit(custody, {0: [5, 6]}))
    assert custody.to_commit == {0: 7}
    custody.forget({0})
    assert custody.to_commit == {}


async def test_a_seek_waits_for_the_poll_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that runs during a seek returns records from both sides of it.

    Recovery lost those in between.
    """
    order: list[str] = []
    turn = asyncio.Event()

    async def poll(self: PollConsumer, active: object, timeout: float) -> dict[Any, Any]:
        order.append("poll begins")
        await turn.wait()
        order.append("poll ends")
        return {}

    async def seek(self: PollConsumer, partitions: object) -> None:
        order.append("seek")

    monkeypatch.setattr(driver.Consumer, "_getmany", poll)
    monkeypatch.setattr(driver.Consumer, "seek_wait", seek)
    monkeypatch.setattr(PollConsumer, "_get_active_partitions", lambda self: {TP("changelog", 0)})
    consumer = PollConsumer.__new__(PollConsumer)
    consumer._position, consumer.flow_active = asyncio.Lock(), True
    polling = asyncio.create_task(consumer._poll(1.0))
    await asyncio.sleep(0)
    seeking = asyncio.create_task(consumer.seek_wait({TP("changelog", 0): 5}))
    await asyncio.sleep(0)
    turn.set()
    await asyncio.gather(polling, seeking)
    assert order == ["poll begins", "poll ends", "seek"]


async def test_the_fetcher_ends_while_the_flow_is_stopped() -> None:
    """A stop of the worker stops the flow first, for good.

    A fetcher that waits for the flow then keeps its worker from leaving the group.
    """
    consumer: Any = PollConsumer.__new__(PollConsumer)
    consumer._stopped, consumer.idle, consumer._position = asyncio.Event(), asyncio.Event(), asyncio.Lock()
    consumer.can_resume_flow, consumer._crashed = asyncio.Event(), asyncio.Event()
    consumer._loop, consumer.callback = asyncio.get_running_loop(), None
    consumer.flow_active = False
    consumer.idle.set()
    fetcher = SimpleNamespace(_stopped=asyncio.Event())
    draining = asyncio.create_task(consumer._drain_messages(fetcher))
    await asyncio.sleep(0)
    fetcher._stopped.set()
    await asyncio.wait_for(draining, 2)


@pytest.mark.parametrize("turns", range(4))
async def test_a_poll_that_waits_for_a_unit_can_be_cancelled_just_as_the_unit_ends(turns: int) -> None:
    consumer = PollConsumer.__new__(PollConsumer)
    consumer.idle = asyncio.Event()
    waiting = asyncio.create_task(consumer._may_poll(60))
    await asyncio.sleep(0)
    consumer.idle.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_a_log_that_goes_back_is_an_error_even_if_it_has_grown_beyond_the_position() -> None:
    consumer, tp = PollConsumer.__new__(PollConsumer), TP("events", 0)
    consumer._custody, consumer._oldest, consumer._read_offset = Custody(), Oldest(), {tp: None}
    unit = Unit({}, 1, {})
    consumer._add(unit, tp, [SimpleNamespace(offset=offset, timestamp=0) for offset in (8, 11)])
    assert [record.offset for record in unit.records[0]] == [8, 11]
    consumer._add(unit, tp, [SimpleNamespace(offset=15, timestamp=0)])
    with pytest.raises(LogWentBack, match="read up to 16, and then offset 0"):
        consumer._add(unit, tp, [SimpleNamespace(offset=offset, timestamp=0) for offset in range(20)])


async def test_polls_do_not_wait_for_a_unit_that_a_revocation_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery needs polls to end. It waited for ever for a unit that was in no queue any more."""
    calls: list[str] = []

    async def upstream(self: PollConsumer) -> None:
        assert not self.idle.is_set()
        calls.append("waited")

    monkeypatch.setattr(driver.Consumer, "wait_empty", upstream)
    consumer = PollConsumer.__new__(PollConsumer)
    consumer.idle = asyncio.Event()
    consumer._custody, consumer._read_offset = Custody(), {}
    consumer.app, ahead = SimpleNamespace(events_name="events"), list[str]()
    consumer._thread = SimpleNamespace(fetch_ahead=lambda: ahead.append("fetched"))
    record = SimpleNamespace(offset=3, timestamp=0)
    consumer.idle.set()
    consumer._message(Unit({0: [record]}, 1, {0: -1}))
    assert not await consumer._may_poll(0.01)
    assert ahead == ["fetched"], "the next events are fetched while this unit takes long"
    await consumer.wait_empty()
    assert calls == ["waited"]
    assert await consumer._may_poll(0.01)


def test_a_crash_of_any_service_ends_the_process_except_a_cancellation_while_stopping() -> None:
    ended: list[BaseException] = []

    class Stub(App):
        def __init__(self) -> None:
            self.fail_stop = ended.append
            self._children, self._crashed, self._stopped = [], asyncio.Event(), asyncio.Event()
            self._crash_reason = None

    app, error = Stub(), ValueError("no")
    app._crash(error)
    app._crash(cancelled := asyncio.CancelledError())
    assert ended == [error, cancelled]
    app._stopped.set()
    app._crash(asyncio.CancelledError())
    assert ended == [error, cancelled]
    app._crash(error)
    assert ended == [error, cancelled, error]


async def test_a_caller_that_waits_for_metadata_is_woken_when_its_producer_is_closed() -> None:
    client = AIOKafkaClient()
    producer = SimpleNamespace(
        client=client, _message_accumulator=SimpleNamespace(fail_all=lambda _: None), _sender=SimpleNamespace(sender_task=None)
    )
    waits = asyncio.ensure_future(client._wait_on_metadata("topic"))
    await asyncio.sleep(0)
    assert client._md_update_fut is not None
    await close_unflushed(producer)
    with pytest.raises(Abandoned):
        await asyncio.wait_for(waits, 10)
