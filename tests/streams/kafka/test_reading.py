"""The consumers of both clients pass what they cannot read; a fetch is repeated before that."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException, KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition
from structlog.testing import capture_logs
from support.damage.raw_batches import RECORDS_AT, Raw, batch, flipped

from streams.kafka import reading
from streams.kafka.reading import PassingDamage, pass_damage, prepare
from streams.kafka.upstream import _cancelled
from streams.wire.unreadable import Unreadable, unreadable

ROOT = Path(__file__).parents[3]
TP = TopicPartition("events", 3)
RECORDS = [Raw(b"ann", b"{}")] * 5
GOOD = [batch(RECORDS, base=base, codec=codec) for base, codec in ((0, "none"), (5, "gzip"), (10, "zstd"), (15, "snappy"))]
BAD = flipped(GOOD[2], RECORDS_AT + 3)


def test_a_damaged_batch_is_fetched_twice_before_it_is_given_up() -> None:
    check = PassingDamage()
    with capture_logs() as lines:
        assert check("events", 3, GOOD[1] + BAD + GOOD[3], 5, 20), "the good one before it"
        assert lines == []
        assert check("events", 3, GOOD[2] + GOOD[3], 10, 20), "damaged on its way: the second copy is whole"
        assert check("events", 3, BAD, 10, 20) == b""
        assert check("events", 2, BAD, 10, 20) == b"", "another partition"
        assert lines == []
        assert check("events", 3, BAD, 10, 20) != b""
    assert lines == [
        {
            "event": "unreadable_batch", "log_level": "warning", "topic": "events", "partition": 3, "offset": 10,
            "last_offset": 14, "reason": "its checksum is wrong",
        }
    ]  # fmt: skip


class FakeClient:
    """A broker's side of aiokafka's client: one partition, served from batches."""

    def __init__(self, batches: Sequence[bytes], errors: Sequence[int] = ()) -> None:
        self._batches, self._errors = batches, list(errors)
        self._loop, self._metadata_max_age_ms = asyncio.get_running_loop(), 1000
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
        self.fetches = 0
        self.closed = False

    def force_metadata_update(self) -> asyncio.Future[bool]:
        return self._loop.create_future()

    async def send(self, node: int, request: Any, **_: Any) -> Any:
        assert isinstance(request, FetchRequest)
        ((topic, ((partition, offset, _),)),) = request.topics
        self.fetches += 1
        await asyncio.sleep(0)
        if self._errors:
            return SimpleNamespace(API_VERSION=4, topics=[(topic, [(partition, self._errors.pop(0), -1, -1, None, b"")])])
        end = 5 * len(self._batches)
        data = b"".join(self._batches[offset // 5 :][:2])
        return SimpleNamespace(API_VERSION=4, topics=[(topic, [(partition, 0, end, end, [], data)])])


async def fetched(client: FakeClient, until: int) -> list[Any]:
    """The records that aiokafka's own fetcher returns before an offset."""
    pass_damage(SimpleNamespace(_client=client))
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user([TP])
    subscriptions.seek(TP, 0)
    fetcher = Fetcher(client, subscriptions, isolation_level="read_committed")
    found: list[Any] = []
    try:
        async with asyncio.timeout(20):
            while subscriptions.subscription.assignment.state_value(TP).position < until:
                for records in (await fetcher.fetched_records([TP], timeout=0.1, max_records=4)).values():
                    found += records
    finally:
        await fetcher.close()
    return found


async def test_aiokafkas_fetcher_passes_a_corrupt_batch_and_reads_all_others() -> None:
    client = FakeClient([GOOD[0], GOOD[1], BAD, GOOD[3]])
    found = await fetched(client, 20)
    assert [record.offset for record in found] == [*range(10), 14, *range(15, 20)]
    assert unreadable(found[10]) == Unreadable(10, 14, "its checksum is wrong")


async def test_without_our_check_aiokafkas_fetcher_does_not_pass_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "check_fetches", lambda *_: None)
    for bad, error in (
        (BAD, CorruptRecordException),
        (batch([Raw(None, b"", [(b"\xff", b"")])] * 5, base=10), UnicodeDecodeError),
    ):
        with pytest.raises(error):
            await fetched(FakeClient([*GOOD[:2], bad]), 15)


async def test_a_log_that_the_broker_cannot_read_is_asked_for_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "REPAIR_S", 0.01)
    client = FakeClient(GOOD, [CorruptRecordException.errno] * 3)
    with capture_logs() as lines:
        assert len(await fetched(client, 20)) == 20
    damage = [line for line in lines if line["event"] == "broker_cannot_read_its_log"]
    assert [(line["topic"], line["partition"], line["offset"]) for line in damage] == [("events", 3, 0)] * 3


class Away(FakeClient):
    """A broker's side that closes the connection during each fetch."""

    async def send(self, node: int, request: Any, **_: Any) -> Any:
        self.fetches += 1
        raise KafkaConnectionError("closed")

    async def close(self) -> None:
        self.closed = True


async def stopped_after_a_failed_fetch(prepared: Callable[[AIOKafkaConsumer], object]) -> bool:
    """Stop a consumer while its fetcher pauses after an error; whether that closed its client."""
    client, subscriptions = Away([]), SubscriptionState()
    subscriptions.assign_from_user([TP])
    subscriptions.seek(TP, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    prepared(consumer)
    consumer._client, consumer._fetcher = client, Fetcher(client, subscriptions, retry_backoff_ms=60_000)
    async with asyncio.timeout(20):
        while not client.fetches:
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(consumer.stop())
        await asyncio.wait({stopping})
    return not stopping.cancelled() and client.closed


async def test_a_consumer_stops_while_it_pauses_after_a_failed_fetch() -> None:
    assert await stopped_after_a_failed_fetch(prepare)


async def test_without_our_order_aiokafka_reports_a_cancellation_of_its_caller() -> None:
    assert not await stopped_after_a_failed_fetch(lambda _: None)


async def test_a_cancellation_that_the_fetcher_swallows_is_repeated() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    return

    task = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await _cancelled([task])
    assert task.done()


def consumers_made(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "KafkaConsumer",
            "AIOKafkaConsumer",
        ):
            yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_nothing_else_makes_a_consumer() -> None:
    made = [call for folder in ("streams", "serving") for path in (ROOT / folder).rglob("*.py") for call in consumers_made(path)]
    assert {call.partition(":")[0] for call in made} == {"streams/kafka/reading.py"}
