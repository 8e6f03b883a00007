"""Metrics of the worker's place in the group, twice a second.

These are its lag, its commits, the age of its oldest uncommitted event, and its lease.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from streams.observing.metrics import GroupMetrics
from streams.observing.telemetry import Telemetry

EVERY_S = 0.5
"""Seconds between two updates of the gauges."""


class WatchedConsumer(Protocol):
    """What `LagWatch` reads of the consumer.

    It calls all of it on the event loop, twice a second.
    """

    def lag(self) -> dict[int, int]:
        """Return the number of offsets left to do, per assigned partition of the events topic."""
        ...

    def committed_offset(self, partition: int) -> int:
        """Return the offset that is committed for an assigned partition."""
        ...

    def oldest(self, partition: int) -> int | None:
        """Return the Kafka time of the first event that was handed out and is not committed.

        It is in epoch ms. Returns ``None`` if there is no such event.
        """
        ...


class WatchedLease(Protocol):
    """What `LagWatch` reads of the lease, on the event loop, twice a second."""

    @property
    def fresh(self) -> bool:
        """Whether the group has confirmed this worker's membership recently enough to send."""
        ...


class WatchedApp(Protocol):
    """What `LagWatch` reads of the Faust app, on the event loop, twice a second.

    A worker uses `streams.engine.faust_app.App`. An example for a test:

        SimpleNamespace(consumer=consumer, consumer_generation_id=7, lease=lease)
    """

    @property
    def consumer(self) -> WatchedConsumer:
        """The consumer of the events topic; it exists before the first update."""
        ...

    @property
    def consumer_generation_id(self) -> int:
        """The group's generation; -1 before this worker has joined."""
        ...

    @property
    def lease(self) -> WatchedLease:
        """The lease on the partitions."""
        ...


class LagWatch:
    """Sets the gauges of the group.

    ``elected`` returns whether this worker is the learner, and ``follower_lag`` how many
    transitions it has not counted yet. ``now`` returns seconds since 1970, as it is compared with
    Kafka times.
    """

    def __init__(
        self, app: WatchedApp, telemetry: Telemetry, elected: Callable[[], bool], follower_lag: Callable[[], int],
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._app, self._telemetry, self._elected, self._now = app, telemetry, elected, now
        self._follower_lag = follower_lag
        self._labels: set[str] = set()
        self._waiting_since: dict[int, float] = {}

    async def run(self) -> None:
        """Set the gauges twice a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._telemetry.process.loop_delay.set(max(loop.time() - due, 0.0))
            self.look()

    def look(self) -> None:
        """Set every gauge once."""
        consumer, metrics, now = self._app.consumer, self._telemetry.group, self._now()
        lags = consumer.lag()
        self._telemetry.model.is_learner.set(self._elected())
        self._telemetry.model.follower_lag.set(self._follower_lag())
        metrics.assigned.set(len(lags))
        metrics.generation.set(self._app.consumer_generation_id)
        metrics.lease_fresh.set(self._app.lease.fresh)
        for partition, lag in lags.items():
            label = str(partition)
            metrics.lag.labels(label).set(lag)
            metrics.committed.labels(label).set(consumer.committed_offset(partition))
            metrics.oldest.labels(label).set(self._age(partition, lag, now))
        self._forget(metrics, lags)

    def _age(self, partition: int, lag: int, now: float) -> float:
        """Return the age of the first event that was handed out and is not committed, in seconds.

        If there is none but events are waiting, return how long they have been waiting.
        """
        kafka_time = self._app.consumer.oldest(partition)
        if kafka_time is not None:
            self._waiting_since.pop(partition, None)
            return max(now - kafka_time / 1000, 0.0)
        if not lag:
            self._waiting_since.pop(partition, None)
            return 0.0
        return now - self._waiting_since.setdefault(partition, now)

    def _forget(self, metrics: GroupMetrics, lags: dict[int, int]) -> None:
        """Remove the gauges of partitions that other workers have now."""
        labels = {str(partition) for partition in lags}
        for label in self._labels - labels:
            for gauge in (metrics.lag, metrics.committed, metrics.oldest):
                gauge.remove(label)
            self._waiting_since.pop(int(label), None)
        self._labels = labels
