"""A partition's log without a broker, and the two clients that read it through `PassingDamage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from kafka.consumer.fetcher import Fetcher
from kafka.record.memory_records import MemoryRecords as TheirMemoryRecords
from kafka.structs import TopicPartition

from streams.kafka.reading import PassingDamage, parse_by_kafka_python
from streams.wire.batches import parse_by_aiokafka

TP = TopicPartition("events", 3)
Client = Callable[[bytes, int], tuple[list[Any], int]]
"""Parses an answer to a fetch at a position. Returns the records and the next position."""


class Stored(NamedTuple):
    """A batch in a log: its bytes, and the last offset that it really covers."""

    data: bytes
    last: int


def by_aiokafka(data: bytes, position: int) -> tuple[list[Any], int]:
    """Parse as aiokafka's fetcher does."""
    records = MemoryRecords(data)
    if not records.has_next():
        assert not data, "aiokafka raises RecordTooLargeError"
        return [], position
    parsed = PartitionRecords(TP, records, None, position, None, None, False, 1)
    return list(parsed), parsed.next_fetch_offset


def by_kafka_python(data: bytes, position: int) -> tuple[list[Any], int]:
    """Parse as kafka-python's fetcher does."""
    records = TheirMemoryRecords(data)
    if not records.has_next():
        assert not data, "kafka-python raises an error"
        return [], position
    parsed = Fetcher.PartitionRecords(position, TP, records, check_crcs=False)
    return parsed.take(), parsed.next_fetch_offset


CLIENTS: dict[str, tuple[Client, Any]] = {
    "aiokafka": (by_aiokafka, parse_by_aiokafka),
    "kafka-python": (by_kafka_python, parse_by_kafka_python),
}


def read(log: Sequence[Stored], client: str, most_fetches: int = 1000) -> list[Any]:
    """Read a log to its end, as a consumer does, and return its records.

    Fails if that takes more fetches than this.
    """
    parse, parse_one = CLIENTS[client]
    check, end, position, found = PassingDamage(parse_one), log[-1].last + 1, 0, list[Any]()
    for _ in range(most_fetches):
        if position == end:
            return found
        answer = b"".join([stored.data for stored in log if stored.last >= position][:3])
        records, following = parse(check("events", 3, answer, position, end), position)
        assert position <= following <= end, f"from {position} to {following} in a log of {end}"
        found, position = found + records, following
    raise AssertionError(f"at {position} after {most_fetches} fetches")
