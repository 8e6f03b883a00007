"""At-least-once delivery under a lease: outputs confirmed before the changelog, nothing sent by a zombie."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from streams.delivery.foreign import ChangelogCustody
from streams.delivery.publisher import Publisher
from streams.kafka.outbox import Outbox
from streams.sessions.store import Changes, changelog


class LeasedDelivery:
    """`streams.pipeline.Delivery` by an idempotent producer. Faust commits a unit's offsets later, once it is acknowledged.

    ``parts`` time the ``outputs`` and the ``changelog``.
    """

    def __init__(
        self, publisher: Publisher, custody: ChangelogCustody, topic: str, parts: Mapping[str, AbstractContextManager[None]]
    ) -> None:
        self._publisher, self._custody, self._topic, self._parts = publisher, custody, topic, parts

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Outputs, then the changelog, then an answer to whoever else wrote into it."""
        with self._parts["outputs"]:
            await self._publisher.publish(outputs, generation)
        with self._parts["changelog"]:
            placed = await self._publisher.publish(changelog(self._topic, changes), generation)
        return await self._custody.settle(placed, changes, generation)
