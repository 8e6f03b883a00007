"""What a worker knows of its place in the group, told twice a second: lag, commits, the oldest event not committed, the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from streams.observing.metrics import GroupMetrics
from streams.observing.telemetry import Telemetry

EVERY_S = 0.5


class LagWatch:
    """Sets the gauges of the group. ``elected`` says whether this worker learns; ``now`` is in seconds since 1970, as Kafka's."""

    def __init__(self, app: Any, telemetry: Telemetry, elected: Callable[[], bool], now: Callable[[], float] = time.time) -> None:
        self._app, self._telemetry, self._elected, self._now = app, telemetry, elected, now
        self._told: set[str] = set()
        self._waiting_since: dict[int, float] = {}

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._telemetry.process.loop_delay.set(max(loop.time() - due, 0.0))
            self.look()

    def look(self) -> None:
        """Set every gauge once."""
        consumer, metrics, now = self._app.consumer, self._telemetry.group, self._now()
        left: dict[int, int] = consumer.lag()
        self._telemetry.model.is_learner.set(self._elected())
        metrics.assigned.set(len(left))
        metrics.generation.set(self._app.consumer_generation_id)
        metrics.lease_fresh.set(self._app.lease.fresh)
        for partition, lag in left.items():
            label = str(partition)
            metrics.lag.labels(label).set(lag)
            metrics.committed.labels(label).set(consumer.committed_offset(partition))
            metrics.oldest.labels(label).set(self._age(partition, lag, now))
        self._forget(metrics, left)

    def _age(self, partition: int, lag: int, now: float) -> float:
        """By the first event that was handed out and is not committed; while none is, since there has been something to do."""
        kafka_time: int | None = self._app.consumer.oldest(partition)
        if kafka_time is not None:
            self._waiting_since.pop(partition, None)
            return max(now - kafka_time / 1000, 0.0)
        if not lag:
            self._waiting_since.pop(partition, None)
            return 0.0
        return now - self._waiting_since.setdefault(partition, now)

    def _forget(self, metrics: GroupMetrics, left: dict[int, int]) -> None:
        """Another worker tells of these partitions now."""
        held = {str(partition) for partition in left}
        for label in self._told - held:
            for gauge in (metrics.lag, metrics.committed, metrics.oldest):
                gauge.remove(label)
            self._waiting_since.pop(int(label), None)
        self._told = held
