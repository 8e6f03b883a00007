"""The private parts of aiokafka and kafka-python that reading without a group uses.

It is for `streams.kafka` what `streams.engine.upstream` is for the engine, with the same rules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest
from kafka import KafkaConsumer

RELIED_ON = (
    ("aiokafka.client.AIOKafkaClient", "send"),
    ("aiokafka.consumer.consumer.AIOKafkaConsumer", "__init__"),
    ("aiokafka.consumer.fetcher.Fetcher", "_proc_fetch_request"),
    ("aiokafka.protocol.fetch.FetchRequest", "topics"),
    ("kafka.consumer.fetcher.Fetcher", "_parse_fetched_data"),
    ("kafka.consumer.group.KafkaConsumer", "__init__"),
)


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
