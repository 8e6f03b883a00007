"""The age of the oldest event that is not committed, by Kafka time. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable


class Oldest:
    """The units that were handed out and are not committed, per partition.

    It keeps the last offset and the first Kafka time of each unit.
    """

    def __init__(self) -> None:
        self._units: dict[int, deque[tuple[int, int]]] = defaultdict(deque)

    def handed_out(self, partition: int, last_offset: int, kafka_time: int) -> None:
        """Note a unit: its last record's offset, and its first record's Kafka time (epoch ms)."""
        self._units[partition].append((last_offset, kafka_time))

    def kafka_time(self, partition: int, committed: int) -> int | None:
        """Return the Kafka time (epoch ms) of the oldest unit that is not committed as a whole.

        Returns ``None`` if there is no such unit.
        """
        units = self._units[partition]
        while units and units[0][0] < committed:
            units.popleft()
        return units[0][1] if units else None

    def reset(self) -> None:
        """Forget everything. Call after a seek: what is not committed will be handed out again."""
        self._units.clear()

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self._units.pop(partition, None)
