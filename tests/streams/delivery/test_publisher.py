"""Records into batches: all, in order, and split only where one batch would be too large."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.publisher import send
from streams.errors import Abandoned
from streams.kafka.outbox import Outbox, Outgoing

SIZE = 400


class Producer:
    """Keeps the batches; each is confirmed where the last one ended."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self._end = 0

    def create_batch(self) -> Any:
        return BatchBuilder(SIZE, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.sent.append(batch)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(SimpleNamespace(offset=self._end))
        self._end += batch.record_count()
        return future


def read(batch: Any) -> list[Outgoing]:
    return [(record.key, record.value, list(record.headers)) for record in MemoryRecords(bytes(batch._build())).next_batch()]


texts = st.none() | st.binary(max_size=100)
record = st.tuples(texts, texts, st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2))


@given(st.lists(record, max_size=30))
def test_every_record_arrives_once_and_in_order(records: list[Outgoing]) -> None:
    producer = Producer()
    outbox = Outbox({("events", 1): records})
    placed = asyncio.run(send(producer, outbox))
    assert [outgoing for batch in producer.sent for outgoing in read(batch)] == records
    ranges = placed.get(("events", 1), [])
    assert [offset for of_batch in ranges for offset in of_batch] == list(range(len(records)))
    assert all(batch.size() <= SIZE or batch.record_count() == 1 for batch in producer.sent)


def test_a_record_that_is_larger_than_a_batch_has_one_of_its_own() -> None:
    """The broker says whether it is too large."""
    producer = Producer()
    large: list[Outgoing] = [(b"k", b"v", []), (b"k", b"x" * SIZE * 2, []), (b"k", b"v", [])]
    asyncio.run(send(producer, Outbox({("events", 1): large})))
    assert [batch.record_count() for batch in producer.sent] == [1, 1, 1]


def test_the_batch_is_the_one_that_aiokafka_would_have_made() -> None:
    records: list[Outgoing] = [(b"a", b"1", []), (None, b"2", [("h", b"3")]), (b"c", None, [])]
    producer = Producer()
    asyncio.run(send(producer, Outbox({("events", 0): records})))
    theirs = BatchBuilder(SIZE, 0)
    stamp = next(MemoryRecords(bytes(producer.sent[0]._build())).next_batch()).timestamp
    for key, value, headers in records:
        theirs.append(timestamp=stamp, key=key, value=value, headers=headers)
    assert bytes(producer.sent[0]._build()) == bytes(theirs._build())
    assert producer.sent[0].record_count() == theirs.record_count()


def test_the_errors_of_an_abandoned_unit_are_not_logged() -> None:
    class Losing(Producer):
        async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(Abandoned())
            return future

    logged: list[dict[str, Any]] = []

    async def unit() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        with pytest.raises(Abandoned):
            await send(Losing(), Outbox({("events", 0): [(b"k", b"v", [])], ("events", 1): [(b"k", b"v", [])]}))

    asyncio.run(unit())
    gc.collect()
    assert logged == []
