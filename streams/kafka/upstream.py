"""The private parts of aiokafka and kafka-python that reading without a group uses.

It is for `streams.kafka` what `streams.engine.upstream` is for the engine, with the same rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.util import calc_crc32c
from kafka import KafkaConsumer
from kafka.record import util

RELIED_ON = (
    ("aiokafka.client.AIOKafkaClient", "send"),
    ("aiokafka.consumer.consumer.AIOKafkaConsumer", "__init__ stop"),
    ("aiokafka.consumer.fetcher.Fetcher", "__init__ _fetch_requests_routine _get_actions_per_node _proc_fetch_request close"),
    ("aiokafka.protocol.fetch.FetchRequest", "topics"),
    ("kafka.consumer.fetcher.Fetcher", "_parse_fetched_data"),
    ("kafka.consumer.group.KafkaConsumer", "__init__"),
)


SWALLOWED_S = 0.1
"""A task that has not ended this long after its cancellation is cancelled again."""


def compute_checksums_in_c() -> None:
    """Have kafka-python compute the checksums of records as aiokafka does.

    That is 300 times as fast as its own Python. It would use the package crc32c, but that has the
    LGPL. Replaces the default of the second parameter of `kafka.record.util.calc_crc32c`, which the
    module has imported under its name elsewhere.
    """
    if util.crc32c_c is None:
        util.calc_crc32c.__defaults__ = (calc_crc32c,)


class Check(Protocol):
    """Returns the bytes that a client may parse instead of the bytes of an answer to a fetch.

    ``position`` is the offset that was asked for, ``end`` the end of the log in the answer.
    """

    def __call__(self, topic: str, partition: int, data: bytes, position: int, end: int) -> bytes: ...


def check_fetches(consumer: AIOKafkaConsumer, check: Check, unreadable: Callable[[str, int, int], Awaitable[None]]) -> None:
    """Have a consumer that is not started check each answer: wraps `AIOKafkaClient.send`.

    `AIOKafkaConsumer._client`. `Fetcher._proc_fetch_request` reads `FetchRequest.topics`, and of
    each partition of the answer the number, the error, the end of the log and, last, the bytes.

    ``unreadable`` is awaited with the topic, the partition and the offset that was asked for, if
    the broker answers that it cannot read its log there. aiokafka would ask again at once.
    """
    client = consumer._client
    send = client.send

    async def checked(node: int, request: object, **options: Any) -> Any:
        answer = await send(node, request, **options)
        if isinstance(request, FetchRequest):
            asked = {(topic, partition): offset for topic, of_topic in request.topics for partition, offset, *_ in of_topic}
            for topic, partitions in answer.topics:
                for partition, error, *_ in partitions:
                    if error == CorruptRecordException.errno:
                        await unreadable(topic, partition, asked[topic, partition])
            answer.topics = [
                (topic, [(*fields[:-1], _bytes(check, topic, fields, asked[topic, fields[0]])) for fields in partitions])
                for topic, partitions in answer.topics
            ]
        return answer

    client.send = checked


def end_fetches_first(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer end its fetches before it stops: wraps `AIOKafkaConsumer.stop`.

    After a failed fetch, `Fetcher._proc_fetch_request` pauses, and passes on a cancellation in that
    pause. `Fetcher.close` would raise it, so that the caller of ``stop`` seems to be cancelled and
    the connections stay open.

    `AIOKafkaConsumer._fetcher`, `Fetcher._fetch_task` and `Fetcher._pending_tasks`.
    """
    stop = consumer.stop

    async def stop_whole() -> None:
        if (fetcher := consumer._fetcher) is not None:
            await _cancelled([fetcher._fetch_task])
            await _cancelled(fetcher._pending_tasks)
            fetcher._pending_tasks.clear()
        await stop()

    consumer.stop = stop_whole


def set_max_wait(consumer: AIOKafkaConsumer, max_wait_ms: int) -> None:
    """Set how long the next fetches of a started consumer may wait at the broker.

    `AIOKafkaConsumer._fetcher`. `Fetcher._get_actions_per_node` reads `Fetcher._fetch_max_wait_ms`.
    """
    consumer._fetcher._fetch_max_wait_ms = max_wait_ms


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks until they have ended; `Fetcher._fetch_requests_routine` may swallow one."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=SWALLOWED_S)


def _bytes(check: Check, topic: str, fields: tuple[Any, ...], position: int) -> bytes:
    partition, _, end, *_, data = fields
    return check(topic, partition, data, position, end) if data else b""


def check_polls(consumer: KafkaConsumer, check: Check) -> None:
    """Have a consumer check each answer: wraps `Fetcher._parse_fetched_data`.

    `KafkaConsumer._fetcher`. The method reads the bytes from ``partition_data.records``.
    """
    fetcher = consumer._fetcher
    parse = fetcher._parse_fetched_data

    def checked(fetch: Any) -> Any:
        where, data = fetch.topic_partition, fetch.partition_data
        if data.records:
            data.records = check(where.topic, where.partition, bytes(data.records), fetch.fetched_offset, data.high_watermark)
        return parse(fetch)

    fetcher._parse_fetched_data = checked
