"""The worker's Prometheus metrics, declared; `python -m serving.metrics_reference` makes docs/metrics.md of this."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from streams.events.bounds import REASONS
from streams.events.records import EVENT_TYPES
from streams.observing.histogram import BulkHistogram
from streams.sessions.step import Outcome

FRESHNESS_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WORST_FRESHNESS_S = 3600.0
STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
GROUP_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
UNIT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)

EXPERTS = ("markov", "rules", "cooccurrence", "fast_rules", "fast_markov", "backward", "repeats")
ENCODERS = ("gru", "recency")
RANKS = ("1", "2-3", "4-5", "6-10", "11-20", "none")
CUTS = (10, 20)
BUILD = ("version", "domain", "model", "encoder", "delivery")

LABELS: dict[str, Sequence[str] | str] = {
    "event_type": (*EVENT_TYPES, "unknown"),
    "outcome": (*Outcome, "dead_letter", "deleted", "before_deletion", "replayed"),
    "reason": REASONS,
    "kind": ("null", "mismatch"),
    "partition": "number of an events partition, of those that this worker has",
    "stage": ("step", "rank", "test", "publish", "deliver", "store"),
    "part": ("outputs", "changelog", "transaction"),
    "work": ("rank", "learn"),
    "k": tuple(map(str, CUTS)),
    "method": ("model", "popularity", *EXPERTS, *ENCODERS),
    "strategy": "hybrid; popularity, where nothing is known of the session; or the baseline that is set as the model",
    "expert": ("markov", "rules", "cooccurrence", "repeat", *ENCODERS, "popularity", "other"),
    "rank": RANKS,
    "version": "of Ouzel",
    "domain": "what topic names begin with, less the last dot",
    "model": "the setting",
    "encoder": "the setting",
    "delivery": ("leased", "exactly_once"),
}
"""The values of each label."""

UNITS = {
    "ouzel_ready": "0 or 1",
    "ouzel_unit_size": "events",
    "ouzel_assigned_partitions": "partitions",
    "ouzel_consumer_lag": "events",
    "ouzel_committed_offset": "offset",
    "ouzel_group_generation": "generation",
    "ouzel_lease_fresh": "0 or 1",
    "ouzel_sessions_held": "state keys",
    "ouzel_rocksdb_running_compactions": "compactions",
    "ouzel_rocksdb_write_stopped": "0 or 1",
    "ouzel_learner": "0 or 1",
    "ouzel_loss": "nats per example",
    "ouzel_gradient_norm": "nats per unit of length",
    "ouzel_learning_steps": "steps",
    "ouzel_learner_lag": "transitions",
    "ouzel_skipped_steps": "steps",
    "ouzel_drift_resets": "resets",
    "ouzel_vocabulary_items": "items",
    "ouzel_new_items": "items",
    "ouzel_evicted_items": "items",
    "ouzel_catalogue_items": "items",
    "ouzel_prequential_recall": "0 to 1",
    "ouzel_prequential_mrr": "0 to 1",
    "ouzel_live_recall": "0 to 1",
    "ouzel_live_mrr": "0 to 1",
    "ouzel_live_ndcg": "0 to 1",
}
"""The units of what no suffix tells it; of counters it is what they count."""


class ProcessMetrics:
    """The process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.build = gauge("ouzel_build_info", "What runs; join it for the domain.", BUILD)
        self.ready = gauge("ouzel_ready", "1 when this worker processes events.")
        self.loop_delay = gauge("ouzel_event_loop_delay_seconds", "How late the event loop last was, timed twice a second.")


class JourneyMetrics:
    """The journey of events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        self.events = counter("ouzel_events", "Events by type and what became of them.", ["event_type", "outcome"])
        self.dead_letters = counter("ouzel_dead_letters", "Records that were no event.", ["reason"])
        self.keys = counter("ouzel_foreign_keys", "Events whose record key is not their user's.", ["kind"])
        self.interactions = counter("ouzel_interactions", "Events that acted on an item.")
        self.transitions = counter("ouzel_transitions", "Transitions produced.")
        self.recommendations = counter("ouzel_recommendations", "Recommendations published.", ["strategy"])
        self.freshness = BulkHistogram(
            "ouzel_freshness_seconds",
            "From the event's Kafka time to its published recommendation; more than an hour counts as one.",
            FRESHNESS_BUCKETS,
            registry,
            WORST_FRESHNESS_S,
        )
        self.event_freshness = BulkHistogram(
            "ouzel_event_freshness_seconds",
            "From the event's own timestamp to its published recommendation, likewise.",
            FRESHNESS_BUCKETS,
            registry,
            WORST_FRESHNESS_S,
        )
        self.unit = histogram("ouzel_unit_size", "Events in a unit of work.", buckets=UNIT_BUCKETS)
        self.stage = histogram("ouzel_stage_seconds", "Time of one stage of a unit.", ["stage"], buckets=STAGE_BUCKETS)
        self.delivery = histogram(
            "ouzel_delivery_seconds", "From sending a part of a unit to its confirmation.", ["part"], buckets=STAGE_BUCKETS
        )
        self.delivery_failures = counter("ouzel_delivery_failures", "Parts of units that were not confirmed.", ["part"])
        self.retries = counter("ouzel_produce_retries", "Batches that were sent again, as the broker had not taken them.")
        self.abandoned = counter("ouzel_units_abandoned", "Units given up in a rebalance.")
        self.foreign_writes = counter("ouzel_foreign_writes", "Changelog records of somebody else, found and answered.")


class GroupMetrics:
    """The consumer group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        by = ["partition"]
        self.assigned = gauge("ouzel_assigned_partitions", "Partitions of the events that this worker has.")
        self.lag = gauge("ouzel_consumer_lag", "Events of the log not done yet.", by)
        self.committed = gauge("ouzel_committed_offset", "The offset committed: the first event to do after a crash.", by)
        self.oldest = gauge(
            "ouzel_oldest_uncommitted_age_seconds",
            "Age, by Kafka time, of the first event that is not committed; 0 for none.",
            by,
        )
        self.generation = gauge("ouzel_group_generation", "The group's generation, as this worker knows it.")
        self.lease_fresh = gauge("ouzel_lease_fresh", "1 when the group has confirmed the membership of late; only then is sent.")
        self.rebalances = counter("ouzel_rebalances", "Rebalances that this worker took part in.")
        self.rebalance_seconds = histogram(
            "ouzel_rebalance_seconds", "From a rebalance's beginning until events flowed again.", buckets=GROUP_BUCKETS
        )
        self.recoveries = counter("ouzel_recoveries", "Times that the sessions of an assignment were recovered.")
        self.recovery_seconds = gauge(
            "ouzel_recovery_seconds", "From the last assignment until its sessions were recovered and events flowed."
        )
        self.commit_seconds = histogram("ouzel_commit_seconds", "Time of one commit of offsets.", buckets=GROUP_BUCKETS)


class SessionMetrics:
    """The sessions in RocksDB."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        by = ["partition"]
        self.held = gauge("ouzel_sessions_held", "State keys in RocksDB, as it estimates them.", by)
        self.expired = counter("ouzel_sessions_expired", "State keys whose sessions expired.")
        self.refused = counter("ouzel_refused_states", "Changelog records that are no session state.")
        self.size = gauge("ouzel_rocksdb_size_bytes", "Size of the table files.", by)
        self.memory = gauge("ouzel_rocksdb_memory_bytes", "Size of the tables in memory.", by)
        self.pending = gauge(
            "ouzel_rocksdb_pending_compaction_bytes", "What compaction is to rewrite, as RocksDB estimates it.", by
        )
        self.compactions = gauge("ouzel_rocksdb_running_compactions", "Compactions at work.", by)
        self.stopped = gauge("ouzel_rocksdb_write_stopped", "1 when RocksDB takes no writes.", by)
        self.disk_free = gauge("ouzel_disk_free_bytes", "Free space where the data directory is.")
        self.disk_size = gauge("ouzel_disk_size_bytes", "Size of the disk that it is on.")


class ModelMetrics:
    """The model and its learning."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.is_learner = gauge("ouzel_learner", "1 when this worker is the elected learner.")
        self.learner_lag = gauge("ouzel_learner_lag", "Transitions of the log not learned yet.")
        self.steps = gauge("ouzel_learning_steps", "Learning steps taken: the model's version.")
        self.step_seconds = histogram("ouzel_learning_step_seconds", "Time of one learning step.", buckets=STAGE_BUCKETS)
        self.busy = counter("ouzel_model_busy_seconds", "Time that the model's thread was at work.", ["work"])
        self.learned = counter("ouzel_transitions_learned", "Transitions that the model was trained on: the examples.")
        self.followed = counter("ouzel_transitions_followed", "Transitions that were counted without training.")
        self.refused_transitions = counter("ouzel_refused_transitions", "Records of the log that are no transition.")
        self.loss = gauge("ouzel_loss", "Mean training loss of the last step.")
        self.gradient_norm = gauge("ouzel_gradient_norm", "Norm of the last step's gradient of the items' embeddings.")
        self.skipped_steps = gauge("ouzel_skipped_steps", "Optimiser steps left out, in the model's life: not a finite number.")
        self.rollbacks = counter("ouzel_rollbacks", "Times that the parameters went back to the last snapshot's.")
        self.drifts = gauge("ouzel_drift_resets", "Soft resets, in the model's life, after its hit rate fell.")
        self.vocabulary = gauge("ouzel_vocabulary_items", "Items the model knows.")
        self.new_items = gauge("ouzel_new_items", "Items met for the first time, in the model's life.")
        self.evicted = gauge("ouzel_evicted_items", "Items forgotten, in the model's life, because the vocabulary was full.")
        self.catalogue = gauge("ouzel_catalogue_items", "Items in the catalogue.")
        self.updates = counter("ouzel_model_updates", "Records of parameters told to followers.")
        self.ignored_updates = counter("ouzel_ignored_updates", "Records of parameters of a lower epoch.")
        self.refused_updates = counter("ouzel_refused_updates", "Records that are no parameters of this model.")
        self.parameters_time = gauge(
            "ouzel_parameters_timestamp_seconds", "Kafka time of the last parameters taken from the learner; 0 for none."
        )
        self.parameters_delay = gauge(
            "ouzel_parameters_delay_seconds", "From that time until these parameters were in use in this worker."
        )
        self.snapshot_time = gauge(
            "ouzel_snapshot_timestamp_seconds", "When the newest snapshot that this worker knows was written; 0 for none."
        )
        self.snapshot_bytes = gauge("ouzel_snapshot_bytes", "Size of the last snapshot before compression.")
        self.snapshot_seconds = gauge("ouzel_snapshot_seconds", "What the last snapshot took to write.")
        self.refused_snapshots = counter("ouzel_refused_snapshots", "Snapshots that could not be used.")


class QualityMetrics:
    """The quality of the rankings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        at_k, place = ["k", "method"], ["strategy", "rank"]
        self.recall = gauge("ouzel_prequential_recall", "Live prequential recall, whole run.", at_k)
        self.mrr = gauge("ouzel_prequential_mrr", "Live prequential MRR, whole run.", at_k)
        self.live_recall = gauge("ouzel_live_recall", "Live prequential recall; a test's weight halves every 10,000 tests.", at_k)
        self.live_mrr = gauge("ouzel_live_mrr", "Live prequential MRR of late, likewise.", at_k)
        self.live_ndcg = gauge("ouzel_live_ndcg", "Live prequential NDCG of late, likewise.", at_k)
        self.tests = counter("ouzel_prequential_tests", "Live prequential tests; of each expert after 1 event in 16.", ["method"])
        self.hits = counter("ouzel_prequential_hits", "Tests whose item was among the first k.", at_k)
        self.skipped = counter("ouzel_prequential_skipped", "Tests left out for want of the ranking.")
        self.items = counter(
            "ouzel_recommended_items",
            "The first 20 items of 1 recommendation in 16, by the expert that speaks for them.",
            ["expert"],
        )
        self.tail = counter("ouzel_recommended_tail_items", "Of these, items outside of the head: what 80% of events are on.")
        self.repeats = counter("ouzel_recommended_repeats", "Of these, items that the session has had already.")
        self.coverage = gauge(
            "ouzel_catalogue_coverage_ratio", "Share of the known items among these in the last 2,000 to 4,000 recommendations."
        )
        self.clicks = counter("ouzel_recommendation_clicks", "Events that name the session's last recommendation.", place)
        self.impressions = counter("ouzel_recommendation_impressions", "Impressions that name it.", place)
        self.unattributed = counter("ouzel_recommendations_unattributed", "Events that name another recommendation.")
        self.follow_ups = counter(
            "ouzel_recommendation_follow_ups",
            "Events on an item of the session's last recommendation, whatever they name.",
            place,
        )


SECTIONS = (ProcessMetrics, JourneyMetrics, GroupMetrics, SessionMetrics, ModelMetrics, QualityMetrics)
