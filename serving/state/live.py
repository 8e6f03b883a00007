"""Figures for the live page: the rate of events and the freshness of rankings.

This server measures both while it reads the topics.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from serving.state.freshness import Freshness
from streams.wire.record import KafkaRecord

OVER_S = 5.0


class FreshnessMs(msgspec.Struct):
    """Percentiles of freshness, in ms: the Kafka time of a ranking minus that of its event."""

    p50: Annotated[float | None, Meta(description="The median; null without samples.")]
    p90: float | None
    p99: float | None
    samples: Annotated[int, Meta(description="The number of latest rankings that the percentiles cover, at most 2000.")]


class LiveTopics:
    """Counts events and joins rankings to them. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._counts: deque[tuple[float, int]] = deque()
        """The times at which events were read in the last seconds, with their numbers."""
        self._freshness = Freshness()

    async def take_events(self, records: Sequence[KafkaRecord]) -> None:
        """Take the next events. Only their positions and times are read."""
        self._counts.append((self._clock(), len(records)))
        self._forget_old()
        for record in records:
            self._freshness.event(record.partition, record.offset, record.timestamp)

    def ranking(self, partition: int, trigger_offset: int, kafka_time: int) -> None:
        """Take a ranking; ``kafka_time`` is epoch ms."""
        self._freshness.recommendation(partition, trigger_offset, kafka_time)

    @property
    def events_per_second(self) -> float:
        """The rate of events over the last 5 seconds."""
        self._forget_old()
        return sum(count for _, count in self._counts) / max(min(OVER_S, self._clock() - self._began), 1.0)

    @property
    def freshness(self) -> FreshnessMs:
        """Freshness over the latest rankings."""
        recent = self._freshness.recent
        return FreshnessMs(recent(0.5), recent(0.9), recent(0.99), self._freshness.recent_samples)

    def _forget_old(self) -> None:
        before = self._clock() - OVER_S
        while self._counts and self._counts[0][0] < before:
            self._counts.popleft()
