"""What a unit sends, and the one interface through which it leaves."""

from __future__ import annotations

from typing import Protocol

Headers = list[tuple[str, bytes]]
Outgoing = tuple[bytes | None, bytes | None, Headers]
"""One record to send: key, value, headers. A bare tuple, as each event makes three of them."""
NO_HEADERS: Headers = []


class Outbox(dict[tuple[str, int], list[Outgoing]]):
    """Records to send, per topic and partition, in order."""

    def to(self, topic: str, partition: int) -> list[Outgoing]:
        """The records for one place, to append to."""
        return self.setdefault((topic, partition), [])


class Abandoned(Exception):
    """The group has rebalanced: the unit must be given up, unacknowledged."""


class Delivery(Protocol):
    """Sends a unit's outputs, and only when they are confirmed its changelog."""

    async def deliver(self, outputs: Outbox, changelog: Outbox, generation: int) -> dict[int, list[range]]:
        """Returns, per changelog partition, the offsets of each batch. Raises if anything was not confirmed.

        ``generation`` is the consumer group's when the unit was polled; `Abandoned` if the partitions are ours no more.
        """
        ...
