"""The worker's telemetry: its metrics, what they are told of each unit, and the endpoint for Prometheus.

Counters move when a unit is done, so they equal what the topics hold.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, start_http_server
from prometheus_client.registry import Collector

from models.recommender import Recommender
from streams.errors import Abandoned
from streams.observing.metrics import (
    LABELS,
    GroupMetrics,
    JourneyMetrics,
    ModelMetrics,
    ProcessMetrics,
    QualityMetrics,
    SessionMetrics,
)
from streams.settings import Settings


class Timed:
    """Times what is done inside of it, again and again; where that raises, ``failures`` counts it instead."""

    def __init__(self, observe: Callable[[float], None], failures: Callable[[], None] | None = None) -> None:
        self._observe, self._failures = observe, failures
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if error is None:
            self._observe(time.perf_counter() - self._began)
        elif self._failures is not None and isinstance(error, Exception) and not isinstance(error, Abandoned):
            self._failures()


class BeforeScrape(Collector):
    """Has no metric, but is asked first: then those who keep numbers of their own set theirs, one scrape at a time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.told: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        registry.register(self)

    def describe(self) -> Iterator[Any]:
        """Nothing."""
        yield from ()

    def collect(self) -> Iterator[Any]:
        """Nothing, after everybody has set what is theirs."""
        with self._lock:
            for tell in self.told:
                tell()
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
        self.model = ModelMetrics(self.registry)
        self.quality = quality = QualityMetrics(self.registry)
        self.stages = {name: Timed(journey.stage.labels(name).observe) for name in LABELS["stage"]}
        self.parts = {
            name: Timed(journey.delivery.labels(name).observe, journey.delivery_failures.labels(name).inc)
            for name in LABELS["part"]
        }
        self._families: Mapping[str, Counter] = {
            "dead_letters": journey.dead_letters,
            "keys": journey.keys,
            "transitions": journey.transitions,
            "recommendations": journey.recommendations,
            "expired": self.sessions.expired,
            "items": quality.items,
            "tail": quality.tail,
            "repeats": quality.repeats,
            "clicks": quality.clicks,
            "impressions": quality.impressions,
            "unattributed": quality.unattributed,
            "follow_ups": quality.follow_ups,
        }
        self._learning, self.ranking = (self.model.busy.labels(work) for work in ("learn", "rank"))
        self._reached: dict[tuple[Counter, tuple[str, ...]], float] = {}
        self.known_items = 0

    def before_scrape(self, tell: Callable[[], None]) -> None:
        """Call this in the endpoint's thread before each scrape."""
        self._before.told.append(tell)

    def unit_done(
        self,
        outcomes: Sequence[tuple[str, str]],
        counts: Tally[tuple[str, ...]],
        kafka_times: Sequence[int],
        event_times: Sequence[int],
        now: float,
    ) -> None:
        """Count a finished unit: each record's type and outcome, all else by family and labels, and the time to publication.

        The times, epoch ms, are those of the events ranked for; ``now`` is in seconds.
        """
        journey = self.journey
        for labels, count in Tally(outcomes).items():
            journey.events.labels(*labels).inc(count)
        for (family, *values), count in counts.items():
            metric = self._families[family]
            (metric.labels(*values) if values else metric).inc(count)
        journey.interactions.inc(counts["transitions",])
        journey.unit.observe(len(outcomes))
        journey.freshness.observe_ages(kafka_times, now)
        journey.event_freshness.observe_ages(event_times, now)

    def reach(self, counter: Counter, total: float, *labels: str) -> None:
        """Bring a counter up to a total that is kept elsewhere."""
        gained = total - self._reached.get((counter, labels), 0)
        self._reached[counter, labels] = total
        (counter.labels(*labels) if labels else counter).inc(gained)

    def tell_build(self, settings: Settings) -> None:
        """What runs, and in which domain."""
        encoder = settings.encoder if settings.model == "hybrid" else "none"
        self.process.build.labels(version("ouzel"), settings.domain, settings.model, encoder, settings.delivery).set(1)

    def tell_model(self, model: Recommender) -> None:
        """Set the metrics of the model that ranks."""
        metrics = self.model
        metrics.steps.set(model.steps)
        metrics.loss.set(model.loss)
        metrics.gradient_norm.set(model.gradient_norm)
        metrics.vocabulary.set(model.vocabulary_size)
        metrics.new_items.set(model.vocabulary_size + model.evicted_items)
        metrics.evicted.set(model.evicted_items)
        metrics.drifts.set(model.drifts)
        metrics.skipped_steps.set(model.skipped_steps)
        self.known_items = model.vocabulary_size

    def stepped(self, seconds: float) -> None:
        """The model's thread took one learning step."""
        self.model.step_seconds.observe(seconds)
        self._learning.inc(seconds)

    def parameters_taken(self, told_at: float, now: float) -> None:
        """The learner's parameters of this Kafka time are in use; both times are in seconds since 1970."""
        self.model.parameters_time.set(told_at)
        self.model.parameters_delay.set(max(now - told_at, 0.0))

    def recovered(self, seconds: float) -> None:
        """The sessions of an assignment are there."""
        self.group.recoveries.inc()
        self.group.recovery_seconds.set(seconds)

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes on ``http://host:port/metrics``."""
        start_http_server(port, addr=host, registry=self.registry)
