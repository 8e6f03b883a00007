"""How old the first event is that is not committed: when the units that were handed out began, by Kafka time. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable


class Oldest:
    """Of each partition, the units handed out and not yet seen committed: their last offset, and their first Kafka time."""

    def __init__(self) -> None:
        self._units: dict[int, deque[tuple[int, int]]] = defaultdict(deque)

    def handed_out(self, partition: int, last_offset: int, kafka_time: int) -> None:
        """A unit's records of one partition: the offset of the last, the Kafka time of the first."""
        self._units[partition].append((last_offset, kafka_time))

    def kafka_time(self, partition: int, committed: int) -> int | None:
        """That of the first event at or after the committed offset, to a unit; ``None`` if nothing so late was handed out."""
        units = self._units[partition]
        while units and units[0][0] < committed:
            units.popleft()
        return units[0][1] if units else None

    def reset(self) -> None:
        """Everything that is not committed will be handed out again."""
        self._units.clear()

    def forget(self, partitions: Iterable[int]) -> None:
        """These partitions are no longer ours."""
        for partition in partitions:
            self._units.pop(partition, None)
