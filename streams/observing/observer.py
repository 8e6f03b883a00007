"""Who watches the journey: counts, times and tests each unit, and tells Prometheus. It changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from typing import Protocol

from models.recommender import Ranking
from streams.observing.accuracy import CUT, MODEL, POPULARITY, LiveAccuracy
from streams.observing.attribution import attributed, rank_label
from streams.observing.exposure import Exposure
from streams.observing.metrics import CUTS, LABELS
from streams.observing.ranking_cache import RankingCache, Remembered
from streams.observing.telemetry import Telemetry
from streams.sessions.step import Outcome, SessionName
from streams.work import Work

SAMPLED = 16
"""Of so many events one is looked at closely: what its ranking consists of, and what the experts alone would have ranked."""
HEAD_EVERY_S, SOON_S = 30.0, 1.0
_strategy = attrgetter("strategy")
SINCE_ACTED = (Outcome.ACCEPTED, Outcome.LATE)


class Observer(Protocol):
    """What the journey tells whoever watches it."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time one stage of a unit."""
        ...

    def samples(self, offset: int) -> bool:
        """Whether the event at this offset is to be looked at closely."""
        ...

    def refresh(self) -> None:
        """Partitions have changed hands."""
        ...

    def forget(self, name: SessionName) -> None:
        """A user's session is deleted."""
        ...

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        """Test each event's item against the ranking of the same session's previous event."""
        ...

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None:
        """A unit is done at this time, in seconds."""
        ...


class Unobserved:
    """Nobody watches: for a worker without an endpoint for metrics."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def samples(self, offset: int) -> bool:
        return False

    def refresh(self) -> None: ...

    def forget(self, name: SessionName) -> None: ...

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None: ...

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None: ...


class MetricsObserver:
    """Tells Prometheus, and keeps for that the last rankings of the partitions ``assigned``, the accuracy and the exposure."""

    def __init__(self, telemetry: Telemetry, events_topic: str, assigned: Callable[[], Set[int]]) -> None:
        self._telemetry, self._topic, self._assigned = telemetry, events_topic, assigned
        self._kafka_times, self._event_times = list[int](), list[int]()
        self.cache, self.accuracy, self.exposure = RankingCache(), LiveAccuracy(), Exposure(LABELS["expert"])
        telemetry.before_scrape(self.tell)

    def stage(self, name: str) -> AbstractContextManager[None]:
        return self._telemetry.stages[name]

    def samples(self, offset: int) -> bool:
        return offset % SAMPLED == 0

    def refresh(self) -> None:
        self.cache.keep(self._assigned())

    def forget(self, name: SessionName) -> None:
        self.cache.forget(name)

    def test(self, work: Work, rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        cache, counts = self.cache, work.counts
        kafka_times, event_times = self._kafka_times, self._event_times = [], []  # gathered here, as a walk costs more than this
        places = {item: place for place, item in enumerate(popular)}
        for trigger, ranking in zip(work.triggers, rankings, strict=True):
            event, record, name, items = trigger.event, trigger.record, trigger.name, ranking.items[:CUT]
            offset = record.offset
            if event.recommendation_id is not None and trigger.outcome in SINCE_ACTED:
                place = attributed(cache, self._topic, event.recommendation_id, event.item_id)
                counts[("clicks", *place) if place is not None else ("unattributed",)] += 1
            if name[2] != offset and trigger.outcome is Outcome.ACCEPTED:  # a session's first has nothing to be tested against
                self._test(name, event.item_id, places, counts)
            cache.remember(Remembered(name, offset, items, ranking.strategy, ranking.per_expert))
            kafka_times.append(record.timestamp)
            event_times.append(event.timestamp)
            if offset % SAMPLED == 0:
                self.exposure.add(items, ranking.reasons, trigger.prefix, counts)
        for event in work.impressions:
            place = attributed(cache, self._topic, event.recommendation_id or "", event.item_id)
            counts[("impressions", *place) if place is not None else ("unattributed",)] += 1
        cache.purge()

    def _test(self, name: SessionName, item: str, popular: Mapping[str, int], counts: Counter[tuple[str, ...]]) -> None:
        last = self.cache.last(name)
        if last is None:
            self.accuracy.skipped += 1
            return
        found = self.accuracy.test(item, last.items, popular, last.per_expert)
        if found >= 0:
            counts["follow_ups", last.strategy, rank_label(found)] += 1

    def done(self, work: Work, rankings: Sequence[Ranking], now: float) -> None:
        for strategy, count in Counter(map(_strategy, rankings)).items():
            work.counts["recommendations", strategy] += count
        self._telemetry.unit_done(work.outcomes, work.counts, self._kafka_times, self._event_times, now)

    async def follow_head(self, head: Callable[[], Awaitable[frozenset[str]]]) -> None:
        """For ever: ask now and then which items are the popular ones; soon at first, as a new model learns them."""
        pause = SOON_S
        while True:
            self.exposure.head = await head()
            await asyncio.sleep(pause)
            if self.exposure.head:
                pause = min(2 * pause, HEAD_EVERY_S)

    def tell(self) -> None:
        """Set what is computed from tallies; called before each scrape, in the endpoint's thread."""
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
