"""Reads a topic from its beginning, and then follows its end.

The partitions are assigned without a consumer group, so every process reads all of them. While
Kafka is away, a follower waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from streams.kafka.reading import aiokafka_consumer
from streams.kafka.retry import patiently
from streams.kafka.spacing import Spacing
from streams.wire.record import KafkaRecord

REST_S = 0.05
GET_WITHIN_MS = 200
Apply = Callable[[Sequence[KafkaRecord]], Awaitable[None]]
"""Takes the next records of one partition, in offset order."""


class Follower:
    """Follows all partitions of one topic: from the beginning, from ``start``, or from the end.

    `caught_up` is set once every record has been applied that was in the log when `run` began.
    ``config`` are the keyword arguments of its consumers. ``rest_s`` is the pause after a read that
    reached the end of the log: see `Spacing`.

    `run` raises any error of ``apply``, and any of reading that is not in `TEMPORARY`; its caller
    decides what that means. After a temporary one it reads on with a new consumer.
    """

    def __init__(
        self, topic: str, config: Mapping[str, Any], apply: Apply, *, max_records: int = 2000, start: int | None = None,
        from_end: bool = False, rest_s: float = REST_S,
    ) -> None:  # fmt: skip
        self._topic = topic
        self._config = dict(config)
        self._apply = apply
        self._max_records = max_records
        self._start, self._from_end = start, from_end
        self._spacing = Spacing(rest_s)
        self._next = dict[TopicPartition, int]()
        """The offset to read next, of each partition, for the next consumer."""
        self.caught_up = asyncio.Event()
        self._end_unknown = True
        self.lag = 0
        """Records between the last one applied and the end of the log, over all partitions."""

    async def run(self) -> None:
        """Read until the task is cancelled."""
        await patiently(self._read, self._topic)

    async def _read(self) -> None:
        """Read with one consumer, until the task is cancelled or reading fails."""
        consumer = aiokafka_consumer(self._topic, **self._config, auto_offset_reset="earliest")
        try:
            await consumer.start()
            await self._follow(consumer)
        finally:
            await consumer.stop()

    async def look_again(self) -> None:
        """Wait until every record that is in the log now has been applied, too."""
        self._end_unknown = True
        self.caught_up.clear()
        await self.caught_up.wait()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        partitions = sorted(consumer.assignment())
        if not partitions:  # a broker that has just restarted may not know the topic yet
            raise UnknownTopicOrPartitionError(self._topic)
        consumer.pause(*partitions)  # a fetch that waits at the broker would delay the questions below
        await (consumer.seek_to_end if self._from_end else consumer.seek_to_beginning)(*partitions)
        for tp in partitions:
            if (begin := self._next.get(tp, self._start)) is not None:
                consumer.seek(tp, begin)
            self._next[tp] = await consumer.position(tp)
        ends: Mapping[TopicPartition, int] | None = None
        while True:
            if ends is None or self._end_unknown:
                ends = await consumer.end_offsets(partitions)
                self._end_unknown = False
                consumer.resume(*partitions)
            if not self.caught_up.is_set():
                reached = [await consumer.position(tp) >= ends[tp] for tp in partitions]
                if all(reached):
                    self.caught_up.set()
            polled = await consumer.getmany(timeout_ms=GET_WITHIN_MS, max_records=self._max_records)
            rests = self._spacing.has_read(len(polled), reached_end=all([await _at_end(consumer, tp) for tp in partitions]))
            if rests:  # otherwise the next fetch would be sent now, and find a record or two
                consumer.pause(*partitions)
            for tp, records in polled.items():
                await self._apply(records)
                self._next[tp] = records[-1].offset + 1
            lags = [(consumer.highwater(tp) or 0) - await consumer.position(tp) for tp in partitions]
            self.lag = sum(max(lag, 0) for lag in lags)
            if rests:
                await asyncio.sleep(self._spacing.rest_left_s)
                consumer.resume(*partitions)


async def _at_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    """Return whether every record was read that the last answer of the broker knew of.

    Records of an open transaction cannot be read yet.
    """
    end, stable = consumer.highwater(tp) or 0, consumer.last_stable_offset(tp)
    return bool(await consumer.position(tp) >= (end if stable is None or stable < 0 else min(end, stable)))


async def bounds(topic: str, config: Mapping[str, Any], partition: int) -> range:
    """Return the range of offsets that a partition's log has now."""
    consumer = aiokafka_consumer(**config)
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        begin, end = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
        return range(begin[tp], end[tp])
    finally:
        await consumer.stop()


async def read_range(topic: str, config: Mapping[str, Any], partition: int, offsets: range) -> list[KafkaRecord]:
    """Return the records of one partition in a range of offsets: see `records_in`."""
    return [record async for record in records_in(topic, config, partition, offsets)]


async def records_in(topic: str, config: Mapping[str, Any], partition: int, offsets: range) -> AsyncGenerator[KafkaRecord, None]:
    """Yield the records of one partition in a range of offsets.

    Offsets that were compacted away have no record. If the log ends before the range does, this
    waits until the log has grown.
    """
    if not offsets:
        return
    consumer = aiokafka_consumer(**config, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        consumer.seek(tp, offsets.start)
        while await consumer.position(tp) < offsets.stop:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                if record.offset in offsets:
                    yield record
    finally:
        await consumer.stop()
