"""At-least-once delivery under a lease.

Outputs are confirmed before the changelog is sent, and a zombie sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from streams.delivery.foreign import ChangelogCustody
from streams.delivery.publisher import Publisher
from streams.kafka.outbox import Outbox
from streams.sessions.store import Changes, changelog


class LeasedDelivery:
    """`streams.pipeline.Delivery` by an idempotent producer.

    Faust commits a unit's offsets after its acknowledgement. ``parts`` are timers, entered for the
    ``outputs`` and for the ``changelog`` of each unit.
    """

    def __init__(
        self, publisher: Publisher, custody: ChangelogCustody, topic: str, parts: Mapping[str, AbstractContextManager[None]]
    ) -> None:
        self._publisher, self._custody, self._topic, self._parts = publisher, custody, topic, parts

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Send the outputs, then the changelog, then answers to what another worker wrote."""
        with self._parts["outputs"]:
            await self._publisher.publish(outputs, generation)
        with self._parts["changelog"]:
            placed = await self._publisher.publish(changelog(self._topic, changes), generation)
        return await self._custody.settle(placed, changes, generation)
