"""What a unit sends, and the one interface through which it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """One record to send."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Outbox(dict[tuple[str, int], list[Outgoing]]):
    """Records to send, per topic and partition, in order."""

    def add(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Append one record."""
        self.setdefault((topic, partition), []).append(Outgoing(key, value, headers))


class Abandoned(Exception):
    """The group has rebalanced: the unit must be given up, unacknowledged."""


class Delivery(Protocol):
    """Sends a unit's outputs, and only when they are confirmed its changelog."""

    async def deliver(self, outputs: Outbox, changelog: Outbox, generation: int) -> dict[int, int]:
        """Returns, per changelog partition, the offset of the last record. Raises if anything was not confirmed.

        ``generation`` is the consumer group's when the unit was polled; `Abandoned` if the partitions are ours no more.
        """
        ...
