"""At-least-once delivery under a lease: outputs confirmed before the changelog, nothing sent by a zombie."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from streams.delivery.outbox import Abandoned, Outbox, Outgoing


class Batches(Protocol):
    """The part of `aiokafka.AIOKafkaProducer` that delivery uses."""

    def create_batch(self) -> Any: ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]: ...


class LeasedDelivery:
    """`Delivery` through an idempotent producer, whose sender checks the lease where requests are made.

    ``producer`` gives the producer of the day (an abandoned unit's is discarded). ``may_send(generation)`` waits while the
    lease is stale and says whether the partitions are still ours.
    """

    def __init__(self, producer: Callable[[], Batches], may_send: Callable[[int], Awaitable[bool]]) -> None:
        self._current = producer
        self._may_send = may_send

    async def deliver(self, outputs: Outbox, changelog: Outbox, generation: int) -> dict[int, list[range]]:
        """Send and await the outputs, then the changelog; returns the offsets of its batches per partition."""
        await self._check(generation)
        await self._send(outputs)
        await self._check(generation)
        placed = await self._send(changelog)
        return {partition: batches for (_, partition), batches in placed.items()}

    async def _check(self, generation: int) -> None:
        if not await self._may_send(generation):
            raise Abandoned

    async def _send(self, outbox: Outbox) -> dict[tuple[str, int], list[range]]:
        """One batch per topic and partition, more only where one would be too large."""
        producer = self._current()
        sent: list[tuple[tuple[str, int], asyncio.Future[Any], int]] = []
        for (topic, partition), records in outbox.items():
            for batch in _batches(producer, records):
                future = await producer.send_batch(batch, topic, partition=partition)
                sent.append(((topic, partition), future, batch.record_count()))
        placed: dict[tuple[str, int], list[range]] = {}
        for where, future, count in sent:
            base = (await future).offset
            placed.setdefault(where, []).append(range(base, base + count))
        return placed


def _batches(producer: Batches, records: Sequence[Outgoing]) -> list[Any]:
    if not records:
        return []
    now = int(time.time() * 1000)
    batch = producer.create_batch()
    batches = [batch]
    for key, value, headers in records:
        if batch.append(key=key, value=value, timestamp=now, headers=headers) is None:
            batch = producer.create_batch()
            batches.append(batch)
            if batch.append(key=key, value=value, timestamp=now, headers=headers) is None:
                raise ValueError("a record is larger than the largest batch")
    return batches
