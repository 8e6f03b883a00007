"""The records that the worker makes of fetched bytes, compared with aiokafka's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.engine.records import read_raw
from streams.wire.record import Record

EVENTS, OTHER = TopicPartition("events", 1), TopicPartition("learner", 0)
FIELDS = Record.__struct_fields__


def batch() -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    builder.append(0, 1000, b"ann", b"{}", [])
    builder.append(1, 1001, None, b"", [("trace", b"1"), ("trace", b"2")])
    builder.append(2, 1002, b"bob", None, [])
    return bytes(builder.build())


def fetched(tp: TopicPartition, offset: int = 0) -> Any:
    records = PartitionRecords(tp, MemoryRecords(batch()), None, offset, None, None, True, 0)
    return FetchResult(tp, assignment=None, partition_records=records, backoff=0)


def the_fetcher() -> Any:
    """A fetcher whose request brings two results and an error, one per partition."""
    fetcher = SimpleNamespace(_records={})

    async def process(*request: Any) -> bool:
        fetcher._records |= {EVENTS: fetched(EVENTS), OTHER: fetched(OTHER), TopicPartition("events", 2): OSError()}
        return True

    fetcher._proc_fetch_request = process
    return fetcher


async def test_a_slim_record_has_the_fields_of_aiokafkas_own() -> None:
    fetcher = the_fetcher()
    read_raw(fetcher, lambda tp: tp.topic == "events")
    assert await fetcher._proc_fetch_request("assignment", "node", "request") is True
    raw = list(fetcher._records[EVENTS]._partition_records)
    theirs = list(fetched(EVENTS)._partition_records)
    assert all(type(record) is Record for record in raw)
    assert [[getattr(record, name) for name in FIELDS] for record in raw] == [
        [getattr(record, name) for name in FIELDS] for record in theirs
    ]
    assert [record.offset for record in raw] == [0, 1, 2]


async def test_records_of_other_partitions_are_aiokafkas_own() -> None:
    fetcher = the_fetcher()
    read_raw(fetcher, lambda tp: tp.topic == "events")
    await fetcher._proc_fetch_request("assignment", "node", "request")
    records = list(fetcher._records[OTHER]._partition_records)
    assert [record.serialized_key_size for record in records] == [3, -1, 3], "Faust reads this"
