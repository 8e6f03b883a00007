"""Sends records in batches through an idempotent producer, under the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from streams.engine.upstream import batch_append, close_batch
from streams.errors import Abandoned
from streams.kafka.outbox import Outbox, Outgoing

Placed = dict[tuple[str, int], list[range]]
"""Per topic and partition, the offsets of each batch."""


class Batches(Protocol):
    """The part of `aiokafka.AIOKafkaProducer` that delivery uses. The producer has to be started.

    `send` calls both methods on the event loop, for one unit of work at a time, or for a ranking
    of popular items beside it.
    """

    def create_batch(self) -> BatchBuilder:
        """A new, empty batch. `send` fills it, with one record at least, and closes it."""
        ...

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[RecordMetadata]:
        """Queue a closed batch, after those that were queued for the same partition before.

        Returns when the batch is queued. The future has the offset of its first record once all
        replicas have confirmed it, or the error that it failed with: `Abandoned` if the lease was
        lost.
        """
        ...


class Publisher:
    """Publishes records while the partitions are ours.

    ``producer`` returns the current producer, because the one of an abandoned unit is replaced. Its
    sender checks the lease before each request. ``may_send(generation)`` waits while the lease
    is stale, and returns whether the partitions are still ours.
    """

    def __init__(self, producer: Callable[[], Batches], may_send: Callable[[int], Awaitable[bool]]) -> None:
        self._current = producer
        self._may_send = may_send

    async def publish(self, outbox: Outbox, generation: int) -> Placed:
        """Send all records, and return when all are confirmed.

        Raises `Abandoned` if the partitions are lost, and another error if a record fails.
        """
        if not await self._may_send(generation):
            raise Abandoned
        return await send(self._current(), outbox)


Out = TypeVar("Out")
Fill = Callable[[BatchBuilder, Sequence[Out], int], int]
"""Fills a batch with the records that fit, at least one, and closes it. Returns their number.

The last argument is the present time in epoch ms.
"""


async def send(producer: Batches, *outboxes: Mapping[tuple[str, int], Sequence[Outgoing]]) -> Placed:
    """Send records that are dated now; see `send_filled`."""
    return await send_filled(producer, _fill, *outboxes)


async def send_filled(producer: Batches, fill: Fill[Out], *outboxes: Mapping[tuple[str, int], Sequence[Out]]) -> Placed:
    """Send one batch per topic and partition, or more where one would be too large.

    Returns when all are confirmed.
    """
    sent: list[tuple[tuple[str, int], asyncio.Future[RecordMetadata], int]] = []
    for outbox in outboxes:
        for (topic, partition), records in outbox.items():
            for batch in _batches(producer, fill, records):
                future = await producer.send_batch(batch, topic, partition=partition)
                future.add_done_callback(_seen)
                sent.append(((topic, partition), future, batch.record_count()))
    placed: Placed = {}
    for where, future, count in sent:
        base = (await future).offset
        placed.setdefault(where, []).append(range(base, base + count))
    return placed


def _seen(future: asyncio.Future[RecordMetadata]) -> None:
    """Take the error of a batch, if any: after the first one that fails, nobody awaits the others.

    asyncio would log each of them as an error that was never retrieved.
    """
    if not future.cancelled():
        future.exception()


def _batches(producer: Batches, fill: Fill[Out], records: Sequence[Out]) -> list[BatchBuilder]:
    batches, taken, now = list[BatchBuilder](), 0, int(time.time() * 1000)
    while taken < len(records):
        batch = producer.create_batch()
        taken += fill(batch, records[taken:] if taken else records, now)
        batches.append(batch)
    return batches


def _fill(batch: BatchBuilder, records: Sequence[Outgoing], now: int) -> int:
    """Fill a batch with records that are dated ``now``; see `Fill`."""
    append, count = batch_append(batch), 0
    for key, value, headers in records:
        if append(count, now, key, value, headers) is None:
            break
        count += 1
    close_batch(batch, count)
    return count
