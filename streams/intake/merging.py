"""Puts the records of several source topics in order of Kafka time, as far as they are known. Pure.

Without it, the first start on topics with a history would read one topic whole before the next, and
the purchases of a session would come hours of event time after its views. The order within a
partition stays as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from heapq import heapify, heappop, heapreplace

from streams.intake.rekeying import Where
from streams.wire.record import KafkaRecord


class Merge:
    """The records that were polled and not taken, by topic and partition."""

    def __init__(self) -> None:
        self._waiting: dict[Where, deque[KafkaRecord]] = {}

    def __len__(self) -> int:
        """The number of records that wait."""
        return sum(map(len, self._waiting.values()))

    def assign(self, partitions: Collection[Where]) -> None:
        """Drop every record, and expect records of these partitions."""
        self._waiting = {where: deque() for where in partitions}

    def add(self, where: Where, records: Sequence[KafkaRecord]) -> None:
        """Add the next records of a partition. They are dropped if the partition is not ours."""
        if (waiting := self._waiting.get(where)) is not None:
            waiting.extend(records)

    def below(self, count: int) -> list[Where]:
        """Return the partitions with fewer records than ``count``."""
        return [where for where, waiting in self._waiting.items() if len(waiting) < count]

    def take(self, most: int, lags: Callable[[Where], bool]) -> list[KafkaRecord]:
        """Remove and return the next records, ``most`` at most, in order of Kafka time.

        ``lags`` returns whether a partition has records that were not polled yet. Such a partition
        may have the next record, so nothing is taken after its last known one.
        """
        heap = [(waiting[0].timestamp, where) for where, waiting in self._waiting.items() if waiting]
        heapify(heap)
        taken = list[KafkaRecord]()
        while heap and len(taken) < most:
            _, where = heap[0]
            waiting = self._waiting[where]
            taken.append(waiting.popleft())
            if waiting:
                heapreplace(heap, (waiting[0].timestamp, where))
            elif lags(where):
                break
            else:
                heappop(heap)
        return taken
