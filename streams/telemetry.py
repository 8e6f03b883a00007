"""The worker's Prometheus metrics. Counters move when a unit is done, so they equal what the topics hold."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server

from streams.accuracy import LiveAccuracy
from streams.histogram import BulkHistogram

FRESHNESS_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
UNIT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
WORST_FRESHNESS_S = 3600.0
"""A backlog's freshness is cut here, so that a replay of an old log does not turn the histogram's sum into nonsense."""


class Telemetry:
    """Every metric of the worker, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry if registry is not None else CollectorRegistry()
        r = self.registry
        self.ready = Gauge("ouzel_ready", "1 when this worker processes events.", registry=r)
        self._events = Counter("ouzel_events", "Events by what became of them.", ["outcome"], registry=r)
        self._dead_letters = Counter("ouzel_dead_letters", "Records that were no event.", ["reason"], registry=r)
        self._keys = Counter("ouzel_foreign_keys", "Events whose record key is not their user's.", ["kind"], registry=r)
        self._interactions = Counter("ouzel_interactions", "Events that acted on an item.", registry=r)
        self._transitions = Counter("ouzel_transitions", "Transitions produced.", registry=r)
        self._recommendations = Counter("ouzel_recommendations", "Recommendations published.", registry=r)
        self._expired = Counter("ouzel_sessions_expired", "State keys whose sessions expired.", registry=r)
        self._freshness = BulkHistogram(
            "ouzel_freshness_seconds", "From the event's Kafka time to its published recommendation.", FRESHNESS_BUCKETS, r
        )
        self._unit = Histogram("ouzel_unit_size", "Events in a unit of work.", buckets=UNIT_BUCKETS, registry=r)
        self._stage = Histogram(
            "ouzel_stage_seconds", "Time of one stage of a unit.", ["stage"], buckets=STAGE_BUCKETS, registry=r
        )
        self.abandoned = Counter("ouzel_units_abandoned", "Units given up in a rebalance.", registry=r)
        self.foreign_writes = Counter(
            "ouzel_foreign_writes", "Changelog records of somebody else, found and answered.", registry=r
        )
        self.recoveries = Counter("ouzel_recoveries", "Times that the sessions of an assignment were recovered.", registry=r)
        self.recovery_seconds = Gauge(
            "ouzel_recovery_seconds", "From the last assignment until its sessions were recovered and events flowed.", registry=r
        )
        self.refused_states = Counter("ouzel_refused_states", "Changelog records that are no session state.", registry=r)
        self.lag = Gauge("ouzel_consumer_lag", "Events of the log not done yet.", ["partition"], registry=r)
        self.is_learner = Gauge("ouzel_learner", "1 when this worker is the elected learner.", registry=r)
        self.loss = Gauge("ouzel_loss", "Mean training loss of the last step, nats per example.", registry=r)
        self.steps = Gauge("ouzel_learning_steps", "Learning steps taken: the model's version.", registry=r)
        self.learned = Counter("ouzel_transitions_learned", "Transitions that the model was trained on.", registry=r)
        self.followed = Counter("ouzel_transitions_followed", "Transitions that were counted without training.", registry=r)
        self.updates = Counter("ouzel_model_updates", "Records of parameters told to followers.", registry=r)
        self.ignored_updates = Counter("ouzel_ignored_updates", "Records of parameters of a lower epoch.", registry=r)
        self.refused_updates = Counter("ouzel_refused_updates", "Records that are no parameters of this model.", registry=r)
        self.parameters_time = Gauge(
            "ouzel_parameters_timestamp_seconds", "Kafka time of the last parameters taken from the learner.", registry=r
        )
        self.rollbacks = Counter("ouzel_rollbacks", "Times that the parameters went back to the last snapshot's.", registry=r)
        self.learner_lag = Gauge("ouzel_learner_lag", "Transitions of the log not learned yet.", registry=r)
        self.vocabulary = Gauge("ouzel_vocabulary_items", "Items the model knows.", registry=r)
        self.evicted = Gauge("ouzel_evicted_items", "Items forgotten because the vocabulary was full.", registry=r)
        self.drifts = Gauge("ouzel_drift_resets", "Soft resets of the model after its hit rate fell.", registry=r)
        self.skipped_steps = Gauge("ouzel_skipped_steps", "Optimiser steps left out: their loss was not finite.", registry=r)
        self.refused_transitions = Counter("ouzel_refused_transitions", "Records of the log that are no transition.", registry=r)
        self.refused_snapshots = Counter("ouzel_refused_snapshots", "Snapshots that could not be used.", registry=r)
        self.snapshot_time = Gauge("ouzel_snapshot_timestamp_seconds", "When the last snapshot was written.", registry=r)
        self.snapshot_bytes = Gauge("ouzel_snapshot_bytes", "Size of the last snapshot before compression.", registry=r)
        self.snapshot_seconds = Gauge("ouzel_snapshot_seconds", "What the last snapshot took to write.", registry=r)
        self.catalogue = Gauge("ouzel_catalogue_items", "Items in the catalogue.", registry=r)
        labels = ["k", "method"]
        self._recall = Gauge("ouzel_prequential_recall", "Live prequential recall, whole run.", labels, registry=r)
        self._mrr = Gauge("ouzel_prequential_mrr", "Live prequential MRR, whole run.", labels, registry=r)
        self._tests = Gauge("ouzel_prequential_tests", "Live prequential tests made.", registry=r)
        self._skipped = Gauge("ouzel_prequential_skipped", "Tests skipped for want of the ranking.", registry=r)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of a unit."""
        began = time.perf_counter()
        yield
        self._stage.labels(name).observe(time.perf_counter() - began)

    def unit_done(
        self,
        outcomes: Sequence[str],
        counts: Tally[tuple[str, str]],
        kafka_times: Sequence[int],
        accuracy: LiveAccuracy,
        now: float,
    ) -> None:
        """Count a finished unit: what became of each event, everything else by family and label, and freshness.

        ``kafka_times`` are those of the events ranked for, epoch ms; ``now`` is in seconds.
        """
        for outcome, count in Tally(outcomes).items():
            self._events.labels(outcome).inc(count)
        families: Mapping[str, Counter] = {
            "dead_letters": self._dead_letters,
            "keys": self._keys,
            "transitions": self._transitions,
            "recommendations": self._recommendations,
            "expired": self._expired,
        }
        for (family, label), count in counts.items():
            metric = families[family]
            (metric.labels(label) if label else metric).inc(count)
        self._interactions.inc(counts["transitions", ""])
        self._unit.observe(len(outcomes))
        self._freshness.observe([min(max(now - kafka_time / 1000, 0.0), WORST_FRESHNESS_S) for kafka_time in kafka_times])
        for method, tally in (("model", accuracy.model), ("popularity", accuracy.popularity)):
            self._recall.labels("20", method).set(tally.recall)
            self._mrr.labels("20", method).set(tally.mrr)
        self._tests.set(accuracy.model.tests)
        self._skipped.set(accuracy.skipped)

    def recovered(self, seconds: float) -> None:
        """The sessions of an assignment are there."""
        self.recoveries.inc()
        self.recovery_seconds.set(seconds)

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes on ``http://host:port/metrics``."""
        start_http_server(port, addr=host, registry=self.registry)
