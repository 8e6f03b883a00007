"""Sends records in batches through an idempotent producer, under the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from streams.errors import Abandoned
from streams.kafka.outbox import Outbox, Outgoing

Placed = dict[tuple[str, int], list[range]]
"""Per topic and partition, the offsets of each batch."""


class Batches(Protocol):
    """The part of `aiokafka.AIOKafkaProducer` that delivery uses."""

    def create_batch(self) -> Any: ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]: ...


class Publisher:
    """Publishes for as long as the partitions are ours.

    ``producer`` gives the producer of the day (an abandoned unit's is discarded), whose sender checks the lease where requests
    are made. ``may_send(generation)`` waits while the lease is stale and says whether the partitions are still ours.
    """

    def __init__(self, producer: Callable[[], Batches], may_send: Callable[[int], Awaitable[bool]]) -> None:
        self._current = producer
        self._may_send = may_send

    async def publish(self, outbox: Outbox, generation: int) -> Placed:
        """Send and await it all. Raises if anything was not confirmed; `Abandoned` if the partitions are ours no more."""
        if not await self._may_send(generation):
            raise Abandoned
        return await send(self._current(), outbox)


async def send(producer: Batches, *outboxes: Mapping[tuple[str, int], Sequence[Outgoing]]) -> Placed:
    """One batch per topic and partition, more only where one would be too large; returns when all are confirmed."""
    sent: list[tuple[tuple[str, int], asyncio.Future[Any], int]] = []
    for outbox in outboxes:
        for (topic, partition), records in outbox.items():
            for batch in _batches(producer, records):
                future = await producer.send_batch(batch, topic, partition=partition)
                sent.append(((topic, partition), future, batch.record_count()))
    placed: Placed = {}
    for where, future, count in sent:
        base = (await future).offset
        placed.setdefault(where, []).append(range(base, base + count))
    return placed


def _batches(producer: Batches, records: Sequence[Outgoing]) -> list[Any]:
    batches, taken, now = list[Any](), 0, int(time.time() * 1000)
    while taken < len(records):
        batch = producer.create_batch()
        taken += _fill(batch, records[taken:] if taken else records, now)
        batches.append(batch)
    return batches


def _fill(batch: Any, records: Sequence[Outgoing], now: int) -> int:
    """Put as many records into a batch as it takes, which is one at least; returns how many.

    By aiokafka's own builder, as the `append` around it costs each record more than the encoding does.
    """
    append, count = batch._builder.append, 0
    for key, value, headers in records:
        if append(count, now, key, value, headers) is None:
            break
        count += 1
    batch._relative_offset = count
    batch.close()
    return count
