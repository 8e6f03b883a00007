"""How it goes, for the page: the rate of events and the freshness of rankings, as this process sees them on the topics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from serving.state.freshness import Freshness

OVER_S = 5.0


class FreshnessMs(msgspec.Struct):
    """From the Kafka time of an event to that of its ranking, ms, over the latest ``samples``."""

    p50: float | None
    p90: float | None
    p99: float | None
    samples: int


class LiveTopics:
    """Counts events as they come, and joins rankings to them. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._came: deque[tuple[float, int]] = deque()
        self._freshness = Freshness()

    async def take_events(self, records: Sequence[Any]) -> None:
        """The next events; only where they lie and when they came is looked at."""
        self._came.append((self._clock(), len(records)))
        self._forget_old()
        for record in records:
            self._freshness.event(record.partition, record.offset, record.timestamp)

    def ranking(self, partition: int, trigger_offset: int, kafka_time: int) -> None:
        """A ranking came."""
        self._freshness.recommendation(partition, trigger_offset, kafka_time)

    @property
    def events_per_second(self) -> float:
        """Over the last seconds."""
        self._forget_old()
        return sum(count for _, count in self._came) / max(min(OVER_S, self._clock() - self._began), 1.0)

    @property
    def freshness(self) -> FreshnessMs:
        """Over the latest rankings."""
        recent = self._freshness.recent
        return FreshnessMs(recent(0.5), recent(0.9), recent(0.99), self._freshness.recent_samples)

    def _forget_old(self) -> None:
        before = self._clock() - OVER_S
        while self._came and self._came[0][0] < before:
            self._came.popleft()
