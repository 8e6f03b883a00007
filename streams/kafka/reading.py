"""Makes the consumers of both Kafka clients. They pass every batch, even one that is damaged.

Use these consumers only: those of the libraries stop for ever at a batch that they cannot read, and
at codecs whose packages are not installed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer
from kafka.record.memory_records import MemoryRecords

from streams.kafka.connection import consumer_config
from streams.kafka.upstream import check_fetches, check_polls, end_fetches_first
from streams.settings import Settings
from streams.wire.batches import Batch, Parse, check, parse_by_aiokafka, stand_in

log = structlog.get_logger(__name__)

REPAIR_S = 1.0


class PassingDamage:
    """A `Check` that puts a stand-in in the place of a batch that cannot be read.

    A batch may have been damaged on its way, so it is fetched twice before it is given up.
    """

    def __init__(self, parse: Parse = parse_by_aiokafka) -> None:
        self._parse = parse
        self._suspect: dict[tuple[str, int], int] = {}
        """By partition, the first offset of a batch that could not be read in the last answer."""

    def __call__(self, topic: str, partition: int, data: bytes, position: int, end: int) -> bytes:
        checked, where = check(data, position, end, self._parse), (topic, partition)
        unreadable = checked.unreadable
        if unreadable is None:
            self._suspect.pop(where, None)
            return checked.data
        if checked.data or self._suspect.get(where) != unreadable.first:
            self._suspect[where] = unreadable.first
            return checked.data
        del self._suspect[where]
        log.warning(
            "unreadable_batch", topic=topic, partition=partition, offset=unreadable.first, last_offset=unreadable.last,
            reason=unreadable.why,
        )  # fmt: skip
        return stand_in(unreadable, checked.damaged)


def pass_damage(consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
    """Return the consumer, which is not started yet, after it was made to pass damaged batches."""
    check_fetches(consumer, PassingDamage(), _wait_for_repair)
    return consumer


def prepare(consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
    """Return the consumer, which is not started yet, after it was made to do two things better.

    It passes damaged batches, and it stops while Kafka is away, too.
    """
    end_fetches_first(consumer)
    return pass_damage(consumer)


async def _wait_for_repair(topic: str, partition: int, offset: int) -> None:
    """Wait before the next fetch: the broker cannot read its own log at this offset.

    Another replica may be intact, so nothing is skipped.
    """
    log.warning("broker_cannot_read_its_log", topic=topic, partition=partition, offset=offset)
    await asyncio.sleep(REPAIR_S)


def aiokafka_consumer(*topics: str, **config: Any) -> AIOKafkaConsumer:
    """Make a consumer of aiokafka, which is not started. ``config`` are its keyword arguments."""
    return prepare(AIOKafkaConsumer(*topics, **config, enable_auto_commit=False, check_crcs=False))


def kafka_consumer(settings: Settings, *topics: str, **config: Any) -> KafkaConsumer:
    """Make a consumer of kafka-python without a group. ``config`` are more keyword arguments.

    Raises an error of kafka-python if no broker answers.
    """
    options = {"group_id": None, "enable_auto_commit": False, "check_crcs": False} | config
    consumer = KafkaConsumer(*topics, **consumer_config(settings), **options)
    check_polls(consumer, PassingDamage(parse_by_kafka_python))
    return consumer


def parse_by_kafka_python(data: bytes) -> Batch:
    """Return the batch as kafka-python parses it."""
    batch: Batch = MemoryRecords(data).next_batch()
    return batch
