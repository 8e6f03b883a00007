"""A unit in one transaction: the order of its parts, and what follows when one is refused."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.structs import OffsetAndMetadata

from streams.delivery.exactly_once import ExactlyOnceDelivery, transactional_id
from streams.delivery.foreign import ChangelogReplaced
from streams.engine.transactions import SOON_S, FencedOffsets, FencedOffsetsResponse, FencedSender, Membership, SoonAgain
from streams.errors import Abandoned
from streams.kafka.outbox import Outbox
from streams.sessions.store import Changes
from streams.settings import Settings, SettingsError, load_settings


class Batch(BatchBuilder):  # type: ignore[misc]
    """aiokafka's own."""

    def __init__(self) -> None:
        super().__init__(1_000_000, 0)

    def __len__(self) -> int:
        return int(self.record_count())


class Producer:
    """Records its calls, and fails at the one named ``fails``."""

    def __init__(self, fails: str = "", error: BaseException | None = None, first: int = 10) -> None:
        self.calls: list[Any] = []
        self.confirmed = 0
        self._fails, self._error, self._first = fails, error, first
        self._closed = False
        self._message_accumulator: Any = SimpleNamespace(_closed=False, fail_all=lambda _: None)
        self._sender: Any = SimpleNamespace(sender_task=None)
        self.client: Any = SimpleNamespace(_md_update_fut=None, close=self._nothing)

    async def _nothing(self) -> None: ...

    def _note(self, what: str, *details: Any) -> None:
        self.calls.append((what, *details) if details else what)
        if what == self._fails and self._error is not None:
            raise self._error

    def create_batch(self) -> Batch:
        return Batch()

    async def start(self) -> None:
        self._note("start")

    async def begin_transaction(self) -> None:
        self._note("begin")

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self._note("send", topic, partition, len(batch))

        async def confirm() -> Any:
            await asyncio.sleep(0)
            self.confirmed += 1
            return SimpleNamespace(offset=self._first)

        return asyncio.ensure_future(confirm())

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        assert self.confirmed == 2, "before everything was confirmed"
        self._note("offsets", dict(offsets), group)

    async def commit_transaction(self) -> None:
        self._note("commit")


def unit() -> tuple[Outbox, dict[int, Changes]]:
    outputs = Outbox()
    outputs.to("transitions", 0).append((None, b"transition", []))
    return outputs, {3: Changes(41, {b"u:a": b"state"})}


class Delivering:
    """A delivery with all that it uses."""

    def __init__(self, *producers: Producer, ours: bool | Sequence[bool] = True, known: int = -1) -> None:
        self.producers, self.started = list(producers), list[Producer]()
        self.committed: list[Mapping[int, int]] = []
        self.fenced: list[int] = []
        self.ours = itertools.repeat(ours) if isinstance(ours, bool) else iter(ours)
        store: Any = SimpleNamespace(changelog_offset=lambda _: known)
        self.delivery = ExactlyOnceDelivery(
            Settings(topic_prefix="t."), store, self._new, lambda _, generation: self.fenced.append(generation), self._may_send,
            self.committed.append, nullcontext(),
        )  # fmt: skip

    def _new(self) -> Producer:
        self.started.append(self.producers.pop(0))
        return self.started[-1]

    async def _may_send(self, generation: int) -> bool:
        return next(self.ours)

    async def run(self) -> dict[int, int]:
        await self.delivery.start()
        return await self.delivery.deliver(*unit(), 7)


async def test_the_offsets_come_last_and_nothing_counts_as_committed_before_the_commit() -> None:
    producer = Producer()
    delivering = Delivering(producer)
    assert await delivering.run() == {3: 11}
    assert producer.calls == [
        "start",
        "begin",
        ("send", "transitions", 0, 1),
        ("send", "t.sessions-changelog", 3, 2),
        ("offsets", {TopicPartition("t.events", 3): 42}, "ouzel"),
        "commit",
    ]
    assert delivering.fenced == [7]
    assert delivering.committed == [{3: 42}]


async def test_a_unit_of_lost_partitions_begins_no_transaction() -> None:
    delivering = Delivering(producer := Producer(), ours=False)
    with pytest.raises(Abandoned):
        await delivering.run()
    assert producer.calls == ["start"]


@pytest.mark.parametrize("fails", ["begin", "offsets", "commit"])
async def test_a_refused_unit_is_abandoned_and_a_new_producer_ends_its_transaction(fails: str) -> None:
    first, second = Producer(fails, Abandoned()), Producer()
    delivering = Delivering(first, second)
    with pytest.raises(Abandoned):
        await delivering.run()
    assert first._closed
    assert second.calls == ["start"], "at which the broker aborts what the first left open"
    assert delivering.committed == []
    assert await delivering.delivery.deliver(*unit(), 8) == {3: 11}


async def test_an_error_ends_the_process_or_only_the_unit_if_the_partitions_are_lost() -> None:
    delivering = Delivering(Producer("commit", ProducerFenced()))
    with pytest.raises(ProducerFenced):
        await delivering.run()
    lost = Delivering(Producer("commit", ProducerFenced()), Producer(), ours=[True, False])
    with pytest.raises(Abandoned):
        await lost.run()
    assert len(lost.started) == 2


async def test_a_changelog_that_was_created_again_is_refused() -> None:
    with pytest.raises(ChangelogReplaced):
        await Delivering(Producer(), known=10).run()


async def test_the_start_is_tried_again_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.delivery.exactly_once.RETRY_S", 0.0)
    delivering = Delivering(Producer("start", KafkaError("away")), Producer())
    assert await delivering.run() == {3: 11}


def handler(*partitions: int) -> tuple[FencedOffsets, asyncio.Future[Any]]:
    """A handler for the offsets of some partitions of `events`, and the future of their commit."""
    manager = TransactionManager("worker", 1000)
    manager.set_pid_and_epoch(5, 1)
    manager.begin_transaction()
    offsets = {TopicPartition("events", partition): OffsetAndMetadata(9, "") for partition in partitions}
    future = manager.add_offsets_to_txn(dict(offsets), "group")
    sender: Any = FencedSender.__new__(FencedSender)
    sender._txn_manager, sender._retry_backoff, sender.membership = manager, 0.1, Membership(4, "member", None)
    return FencedOffsets(sender, offsets, "group"), future


def answered(handled: FencedOffsets, *codes: int) -> Any:
    errors = [("events", [(partition, code, {}) for partition, code in enumerate(codes)], {})]
    return handled.handle_response(FencedOffsetsResponse(throttle_time_ms=0, errors=errors, tags={}))


async def test_offsets_are_committed_in_the_name_of_a_member() -> None:
    handled, future = handler(0, 1)
    request = handled.create_request().prepare({28: (0, 3)})
    sent = type(request).SCHEMA.decode(io.BytesIO(request.encode()))
    assert sent[:7] == ("worker", "group", 5, 1, 4, "member", None)
    assert [(topic, [partition[:2] for partition in of_topic]) for topic, of_topic, _ in sent[7]] == [
        ("events", [(0, 9), (1, 9)])
    ]
    assert answered(handled, 0, 0) is None
    assert future.result() is None


async def test_the_next_transaction_waits_briefly_for_the_markers_of_the_last() -> None:
    manager = TransactionManager("worker", 1000)
    sender: Any = FencedSender.__new__(FencedSender)
    sender._txn_manager, sender._retry_backoff = manager, 0.1
    handled = SoonAgain(sender, {TopicPartition("events", 0)})
    for code, wait_s in ((51, SOON_S), (14, 0.1)):
        assert handled.handle_response(SimpleNamespace(errors=[("events", [(0, code)])])) == wait_s


@pytest.mark.parametrize("code", [22, 25, 82])
async def test_the_offsets_of_no_member_are_abandoned_and_it_may_still_abort(code: int) -> None:
    handled, future = handler(0, 1)
    assert answered(handled, 0, code) is None
    with pytest.raises(Abandoned):
        future.result()
    assert handled._sender._txn_manager.is_in_transaction(), "or aiokafka would not end it on the broker"


async def test_a_coordinator_that_is_loading_is_tried_again() -> None:
    handled, future = handler(0)
    assert answered(handled, 14) > 0
    assert not future.done()


def test_a_worker_keeps_its_transactional_id(tmp_path: Path) -> None:
    settings = Settings(app_id="shop", data_dir=tmp_path / "data")
    name = transactional_id(settings)
    assert name.startswith("shop-")
    assert transactional_id(settings) == name
    assert transactional_id(settings.model_copy(update={"data_dir": tmp_path / "other"})) != name
    assert transactional_id(settings.model_copy(update={"instance_id": "pod-0"})) == "shop-pod-0"


def test_transactions_need_a_broker_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_DELIVERY", "exactly_once")
    monkeypatch.setenv("OUZEL_IDEMPOTENT", "false")
    with pytest.raises(SettingsError, match="exactly_once"):
        load_settings()
