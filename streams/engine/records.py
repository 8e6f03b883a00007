"""Records as they are read: of aiokafka's own, whose eleven fields lie in a dict each, an event would pay for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.structs import TopicPartition

from streams.kafka.record import Record


def raw_record(tp: TopicPartition, record: Any) -> Record:
    """Of one that aiokafka has parsed."""
    headers = record.headers
    return Record(
        tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, tuple(headers) if headers else ()
    )


def read_raw(fetcher: Fetcher, wanted: Callable[[TopicPartition], bool]) -> None:
    """Have a fetcher make our `Record` of what it fetches for these partitions.

    A fetched result is not looked into before the request's coroutine ends, so what it makes can still be chosen there.
    """
    process = fetcher._proc_fetch_request

    async def proc_fetch_request(*request: Any) -> Any:
        woken = await process(*request)
        for tp, result in fetcher._records.items():
            if type(result) is FetchResult and result._partition_records is not None and wanted(tp):
                result._partition_records._consumer_record = raw_record
        return woken

    fetcher._proc_fetch_request = proc_fetch_request
