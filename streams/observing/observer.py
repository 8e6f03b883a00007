"""Observes the journey: counts, times and tests each unit, for Prometheus. It changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from typing import Protocol

import structlog

from models.recommender import Ranking
from streams.counts import Counts
from streams.events.notes import Kind
from streams.observing.accuracy import CUT, MODEL, POPULARITY, LiveAccuracy
from streams.observing.attribution import attributed, rank_label
from streams.observing.exposure import Exposure
from streams.observing.metrics import CUTS, LABELS
from streams.observing.ranking_cache import RankingCache, Remembered
from streams.observing.telemetry import Telemetry
from streams.sessions.step import Outcome, SessionName
from streams.work import Work

SAMPLED = 16
"""One event in this many is sampled: its items are counted, and each expert ranks for it."""
HEAD_EVERY_S, HEAD_FIRST_S = 30.0, 1.0
EARLY = "an event's time is before 2000, so it may not be one: see OUZEL_TIME_UNIT and OUZEL_FIELD_MAPPING"
WARN_EVERY_S = 600.0
log = structlog.get_logger(__name__)
_strategy = attrgetter("strategy")
INTERACTED = (Outcome.ACCEPTED, Outcome.LATE)
"""Outcomes of events on an item."""


class Observer(Protocol):
    """Observes the journey. `Pipeline` calls every method, on the thread of the event loop.

    No method may change what the journey does, or raise. A worker with a
    metrics endpoint uses `MetricsObserver`, and one without uses `Unobserved`. An example that
    counts units:

        class CountUnits(Unobserved):
            def done(self, work, rankings, now):
                self.units += 1
    """

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager that times one stage; the names are values of the label `stage`.

        Called for each stage of each unit. Stages of a unit follow each other and never nest.
        """
        ...

    def samples(self, offset: int) -> bool:
        """Return whether each expert alone is to rank, too, for the event at this source offset.

        Called in step 4 for each trigger. The answer must be the same each time for an offset.
        """
        ...

    def refresh(self) -> None:
        """Drop what is remembered of partitions that this worker no longer has.

        Called before the first unit of each group generation, when the new partitions are assigned.
        """
        ...

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        """Test each event's item against the previous ranking of its session.

        Called once per unit in step 8, when it is delivered and stored, and never for an abandoned
        unit. ``rankings`` are those of ``work.triggers`` in the same order; ``popular`` are the
        most popular items. Afterwards, nothing is remembered of the sessions in ``work.forgotten``.
        """
        ...

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None:
        """Count a finished unit. ``now`` is when it was finished, in seconds since 1970.

        Called once per unit after its `test`, with the same arguments.
        """
        ...


class Unobserved:
    """An `Observer` that does nothing, for a worker without a metrics endpoint."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def samples(self, offset: int) -> bool:
        return False

    def refresh(self) -> None: ...

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None: ...

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None: ...


class MetricsObserver:
    """An `Observer` that sets the Prometheus metrics.

    It keeps the latest rankings of the ``assigned`` partitions, the accuracy, and the exposure.
    """

    def __init__(self, telemetry: Telemetry, events_topic: str, assigned: Callable[[], Set[int]]) -> None:
        self._telemetry, self._topic, self._assigned = telemetry, events_topic, assigned
        self._kafka_times, self._event_times = list[int](), list[int]()
        self.cache, self.accuracy, self.exposure = RankingCache(), LiveAccuracy(), Exposure(LABELS["expert"])
        self._warned_at = -WARN_EVERY_S
        telemetry.before_scrape(self.set_gauges)

    def stage(self, name: str) -> AbstractContextManager[None]:
        return self._telemetry.stages[name]

    def samples(self, offset: int) -> bool:
        return offset % SAMPLED == 0

    def refresh(self) -> None:
        self.cache.keep(self._assigned())

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        cache, counts = self.cache, work.counts
        # The times are for `done`: another loop there would cost more than to collect them here.
        kafka_times, event_times = self._kafka_times, self._event_times = [], []
        places = {item: place for place, item in enumerate(popular)}
        for trigger, ranking in zip(work.triggers, rankings, strict=True):
            event, record, name, items = trigger.event, trigger.record, trigger.name, ranking.items[:CUT]
            offset = record.offset
            if event.recommendation_id is not None and trigger.outcome in INTERACTED:
                place = attributed(cache, self._topic, event.recommendation_id, event.item_id)
                if place is None:
                    counts.unattributed()
                else:
                    counts.click(*place)
            if name[2] != offset and trigger.outcome is Outcome.ACCEPTED:  # not the session's first
                self._test(name, offset, event.item_id, places, counts)
            cache.remember(Remembered(name, offset, items, ranking.strategy, ranking.per_expert))
            kafka_times.append(record.timestamp)
            event_times.append(event.timestamp)
            if offset % SAMPLED == 0:
                self.exposure.add(items, ranking.reasons, trigger.prefix, counts)
        for event in work.impressions:
            place = attributed(cache, self._topic, event.recommendation_id or "", event.item_id)
            if place is None:
                counts.unattributed()
            else:
                counts.impression(*place)
        for name in work.forgotten:
            cache.forget(name)
        cache.purge()

    def _test(self, name: SessionName, offset: int, item: str, popular: Mapping[str, int], counts: Counts) -> None:
        last = self.cache.last(name)
        if last is None or last.offset >= offset:  # a later ranking knows the event
            self.accuracy.skipped += 1
            return
        place = self.accuracy.test(item, last.items, popular, last.per_expert)
        if place >= 0:
            counts.follow_up(last.strategy, rank_label(place))

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None:
        self._warn(work.counts, now)
        for strategy, count in Counter(map(_strategy, rankings)).items():
            work.counts.recommendation(strategy, count)
        self._telemetry.unit_done(work.outcomes, work.counts, self._kafka_times, self._event_times, now)

    def _warn(self, counts: Counts, now: float) -> None:
        """Log an event whose time is probably misread, at most once in `WARN_EVERY_S`."""
        if Kind.EARLY in counts.examples and now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            topic, partition, offset = counts.examples[Kind.EARLY]
            log.warning("suspicious_time", problem=EARLY, topic=topic, partition=partition, offset=offset)

    async def follow_head(self, head: Callable[[], Awaitable[frozenset[str]]]) -> None:
        """Refresh the popular items until cancelled.

        ``head`` returns them. A new model learns them soon, so the first pauses are short.
        """
        pause = HEAD_FIRST_S
        while True:
            self.exposure.head = await head()
            await asyncio.sleep(pause)
            if self.exposure.head:
                pause = min(2 * pause, HEAD_EVERY_S)

    def set_gauges(self) -> None:
        """Set the metrics that are computed from tallies.

        `Telemetry` calls it before each scrape, on the thread of the endpoint.
        """
        telemetry, metrics, accuracy = self._telemetry, self._telemetry.quality, self.accuracy
        for method, tally in dict(accuracy.tallies).items():
            telemetry.reach(metrics.tests, tally.tests, method)
            for k in CUTS:
                labels = str(k), method
                telemetry.reach(metrics.hits, tally.hits(k), *labels)
                metrics.live_recall.labels(*labels).set(tally.late_recall(k))
                metrics.live_mrr.labels(*labels).set(tally.late_mrr(k))
                metrics.live_ndcg.labels(*labels).set(tally.late_ndcg(k))
        for method, tally in ((MODEL, accuracy.model), (POPULARITY, accuracy.popularity)):
            metrics.recall.labels(str(CUT), method).set(tally.recall)
            metrics.mrr.labels(str(CUT), method).set(tally.mrr)
        telemetry.reach(metrics.skipped, accuracy.skipped)
        metrics.coverage.set(self.exposure.coverage(telemetry.known_items))
