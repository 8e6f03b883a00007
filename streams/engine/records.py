"""Slim records for the topics that the worker reads.

aiokafka's own keep eleven fields in a dict each, which costs too much per event.
"""

from __future__ import annotations

from collections.abc import Callable

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams.engine.upstream import make_records
from streams.wire.record import Record


def raw_record(tp: TopicPartition, record: ConsumerRecord) -> Record:
    """Return a slim record from a record that aiokafka has parsed."""
    headers = record.headers
    return Record(
        tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, tuple(headers) if headers else ()
    )


def read_raw(fetcher: Fetcher, wanted: Callable[[TopicPartition], bool]) -> None:
    """Have a fetcher make our `Record` for the wanted partitions.

    For the others it makes aiokafka's own, which Faust needs.
    """
    make_records(fetcher, raw_record, wanted)
