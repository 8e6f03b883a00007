"""The worker's telemetry: its metrics, and how each unit changes them.

Counters rise when a unit is done, so they agree with the contents of the topics.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from types import TracebackType

from prometheus_client import CollectorRegistry, Counter, Metric, disable_created_metrics
from prometheus_client.registry import Collector

from models.recommender import Recommender
from streams.counts import Counts
from streams.errors import Abandoned
from streams.events.notes import Kind
from streams.observing.items import ItemMetrics
from streams.observing.metrics import (
    LABELS,
    GroupMetrics,
    JourneyMetrics,
    ProcessMetrics,
    QualityMetrics,
    SessionMetrics,
)
from streams.observing.model_metrics import ModelMetrics
from streams.settings import Settings


class Timed:
    """A reusable context manager that observes the seconds spent inside.

    If the block raises, ``failures`` is called instead; `Abandoned` is not a failure.
    """

    def __init__(self, observe: Callable[[float], None], failures: Callable[[], None] | None = None) -> None:
        self._observe, self._failures = observe, failures
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._observe(time.perf_counter() - self._began)
        elif self._failures is not None and isinstance(error, Exception) and not isinstance(error, Abandoned):
            self._failures()


def build_of(settings: Settings) -> Sequence[str]:
    """Return the values of the labels `BUILD` for a process with these settings."""
    encoder = settings.encoder if settings.model == "hybrid" else "none"
    return version("ouzel"), settings.domain, settings.model, encoder, settings.delivery


class BeforeScrape(Collector):
    """A collector without metrics that runs callbacks before each scrape, one scrape at a time.

    The registry collects it first, so the callbacks set metrics before these are read.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Run the callbacks, and yield nothing."""
        with self._lock:
            for callback in self.callbacks:
                callback()
        yield from ()


class Telemetry:
    """Every metric of the worker, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry if registry is not None else CollectorRegistry()
        self._before = BeforeScrape(self.registry)
        self.process = ProcessMetrics(self.registry)
        self.journey = journey = JourneyMetrics(self.registry)
        self.group = GroupMetrics(self.registry)
        self.sessions = SessionMetrics(self.registry)
        self.items = ItemMetrics(self.registry)
        self.model = ModelMetrics(self.registry)
        self.quality = QualityMetrics(self.registry)
        self.stages = {name: Timed(journey.stage.labels(name).observe) for name in LABELS["stage"]}
        self.parts = {
            name: Timed(journey.delivery.labels(name).observe, journey.delivery_failures.labels(name).inc)
            for name in LABELS["part"]
        }
        self.following, self.ranking = (self.model.busy.labels(work) for work in ("follow", "rank"))
        self._notes: dict[Kind, Callable[[str], Counter]] = {
            Kind.TIME: journey.times.labels,
            Kind.EARLY: lambda _: journey.early,
            Kind.UNTYPED: lambda _: journey.untyped,
            Kind.DROPPED: lambda field: journey.fields.labels(field, Kind.DROPPED),
            Kind.GUEST: lambda field: journey.fields.labels(field, Kind.GUEST),
            Kind.MISSING: lambda field: journey.fields.labels(field, Kind.MISSING),
        }
        self._reached: dict[tuple[Counter, tuple[str, ...]], float] = {}
        self.known_items = 0

    def before_scrape(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` before each scrape, on the thread of the endpoint."""
        self._before.callbacks.append(callback)

    def unit_done(
        self,
        outcomes: Sequence[tuple[str, str]],
        counts: Counts,
        kafka_times: Sequence[int],
        event_times: Sequence[int],
        now: float,
    ) -> None:
        """Count a finished unit.

        ``outcomes`` are the event type and outcome of each record. The times, in epoch ms, are
        those of the events that triggered a ranking; ``now`` is in seconds since 1970.
        """
        journey = self.journey
        for labels, count in Tally(outcomes).items():
            journey.events.labels(*labels).inc(count)
        self._add(counts)
        journey.interactions.inc(counts.transitions)
        journey.unit.observe(len(outcomes))
        journey.freshness.observe_ages(kafka_times, now)
        journey.event_freshness.observe_ages(event_times, now)

    def _add(self, counts: Counts) -> None:
        """Add every family of the counts to its metric."""
        journey, quality = self.journey, self.quality
        for metric, count in (
            (journey.transitions, counts.transitions),
            (self.sessions.expired, counts.expired_states),
            (quality.tail, counts.tail_items),
            (quality.repeats, counts.repeated_items),
            (quality.unattributed, counts.unattributed_events),
        ):
            if count:
                metric.inc(count)
        for metric, by_label in (
            (journey.dead_letters, counts.dead_letters),
            (journey.keys, counts.foreign_keys),
            (journey.recommendations, counts.recommendations),
            (quality.items, counts.items),
        ):
            for label, count in by_label.items():
                metric.labels(label).inc(count)
        for (kind, value), count in counts.notes.items():
            self._notes[kind](value).inc(count)
        for metric, by_place in (
            (quality.clicks, counts.clicks),
            (quality.impressions, counts.impressions),
            (quality.follow_ups, counts.follow_ups),
        ):
            for (strategy, rank), count in by_place.items():
                metric.labels(strategy, rank).inc(count)

    def reach(self, counter: Counter, total: float, *labels: str) -> None:
        """Raise a counter to a total that is kept elsewhere."""
        gained = total - self._reached.get((counter, labels), 0)
        self._reached[counter, labels] = total
        (counter.labels(*labels) if labels else counter).inc(gained)

    def set_build(self, settings: Settings) -> None:
        """Set the metric that names the version, the configuration and the domain."""
        self.process.build.labels(*build_of(settings)).set(1)

    def set_model(self, model: Recommender) -> None:
        """Set the metrics of the model that ranks."""
        metrics = self.model
        metrics.steps.set(model.steps)
        metrics.vocabulary.set(model.vocabulary_size)
        metrics.new_items.set(model.vocabulary_size + model.evicted_items)
        metrics.evicted.set(model.evicted_items)
        metrics.drifts.set(model.drifts)
        self.known_items = model.vocabulary_size

    def parameters_taken(self, published_at: float, now: float) -> None:
        """Set the age of the learner's parameters that are in use from now on.

        ``published_at`` is their Kafka time. Both times are in seconds since 1970.
        """
        self.model.parameters_time.set(published_at)
        self.model.parameters_delay.set(max(now - published_at, 0.0))

    def recovered(self, seconds: float) -> None:
        """Count one recovery of an assignment's sessions, and set the time that it took."""
        self.group.recoveries.inc()
        self.group.recovery_seconds.set(seconds)
