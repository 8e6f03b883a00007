"""The Prometheus metrics of `ouzel intake`. Counters rise when a unit is written and committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from streams.events.bounds import REASONS
from streams.events.decode import Ignored
from streams.events.notes import Kind
from streams.intake.rekeying import Unit
from streams.observing.histogram import BulkHistogram

LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
WORST_LATENCY_S = 3600.0
LABELS: Mapping[str, Sequence[str] | str] = {
    "topic": "source topic",
    "cause": get_args(Ignored),
    "reason": REASONS,
    "kind": tuple(Kind),
    "value": "the field, or the form of the time",
    "version": "version of Ouzel",
    "domain": "`OUZEL_TOPIC_PREFIX` without its last dot",
    "delivery": "`OUZEL_DELIVERY`",
}
"""The values of each label: all of them, or a description."""
UNITS = {"ouzel_intake_ready": "0 or 1", "ouzel_intake_partitions": "partitions", "ouzel_intake_lag": "records"}
"""The units of metrics whose names do not end in one."""


class IntakeTelemetry:
    """Every metric of the intake, in a registry of its own."""

    def __init__(self, domain: str = "", delivery: str = "", registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = registry if registry is not None else CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        build = Info("ouzel_build", "The version, the domain and the delivery of this intake.", registry=registry)
        build.info({"version": version("ouzel"), "domain": domain, "delivery": delivery})
        self.ready = Gauge("ouzel_intake_ready", "Whether this intake reads its topics.", registry=registry)
        self.records = Counter("ouzel_intake_records", "Records read.", ["topic"], registry=registry)
        self.events = Counter("ouzel_intake_events", "Events written to `events`.", ["topic"], registry=registry)
        self.deletions = Counter("ouzel_intake_deletions", "Deletions written to `events`.", ["topic"], registry=registry)
        self.ignored = Counter(
            "ouzel_intake_ignored", "Records without a value or without an event.", ["topic", "cause"], registry=registry
        )
        self.dead_letters = Counter("ouzel_intake_dead_letters", "Dead letters written.", ["topic", "reason"], registry=registry)
        self.notes = Counter(
            "ouzel_intake_notes", "What was unusual about events, such as a field that was dropped.", ["kind", "value"],
            registry=registry,
        )  # fmt: skip
        self.removed = Counter(
            "ouzel_intake_removed_records", "Records that were removed from their topic before they were read.", ["topic"],
            registry=registry,
        )  # fmt: skip
        self.abandoned = Counter(
            "ouzel_intake_abandoned_units", "Units that were not committed, so they are read again.", registry=registry
        )
        self.lag = Gauge("ouzel_intake_lag", "Records of the assigned partitions left to read.", ["topic"], registry=registry)
        self.partitions = Gauge("ouzel_intake_partitions", "Partitions assigned to this intake.", ["topic"], registry=registry)
        self.latency = BulkHistogram(
            "ouzel_intake_latency_seconds", "Time from the Kafka time of a record to the confirmation of its events.",
            LATENCY_BUCKETS, registry, WORST_LATENCY_S,
        )  # fmt: skip

    def unit_done(self, unit: Unit, now: float) -> None:
        """Count a unit that is committed. ``now`` is in seconds since 1970."""
        for counter, by_topic in ((self.records, unit.read), (self.events, unit.written), (self.deletions, unit.deleted)):
            for topic, count in by_topic.items():
                counter.labels(topic).inc(count)
        for counter, by_cause in ((self.ignored, unit.ignored), (self.dead_letters, unit.rejected)):
            for labels, count in by_cause.items():
                counter.labels(*labels).inc(count)
        for note, count in unit.notes.items():
            self.notes.labels(*note).inc(count)
        self.latency.observe_ages(unit.times, now)

    def set_lags(self, lags: Mapping[str, int], partitions: Mapping[str, int]) -> None:
        """Set the lag and the number of partitions of each topic that this process reads."""
        for gauge, by_topic in ((self.lag, lags), (self.partitions, partitions)):
            gauge.clear()
            for topic, value in by_topic.items():
                gauge.labels(topic).set(value)
