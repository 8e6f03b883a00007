"""The worker's Prometheus metrics. `python -m serving.metrics_reference` documents them."""

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
from streams.events.event_time import FORMS
from streams.events.notes import Kind
from streams.events.records import EVENT_TYPES, Event
from streams.observing.histogram import BulkHistogram
from streams.observing.items import FIELD_VALUES, ItemMetrics
from streams.observing.model_metrics import STAGE_BUCKETS, ModelMetrics
from streams.sessions.step import Outcome

FRESHNESS_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WORST_FRESHNESS_S = 3600.0
GROUP_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
UNIT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)

EXPERTS = ("markov", "rules", "cooccurrence", "fast_rules", "fast_markov", "backward", "repeats")
ENCODERS = ("gru", "recency")
RANKS = ("1", "2-3", "4-5", "6-10", "11-20", "none")
CUTS = (10, 20)
BUILD = ("version", "domain", "model", "encoder", "delivery")

LABELS: dict[str, Sequence[str] | str] = {
    "event_type": (*EVENT_TYPES, "unknown"),
    "outcome": (*Outcome, "dead_letter", "deleted", "before_deletion", "replayed", "ignored"),
    "reason": REASONS,
    "kind": ("null", "mismatch"),
    "form": tuple(form for form in FORMS if form != "ms"),
    "field": f"of an event: {', '.join(f'`{name}`' for name in Event.__struct_fields__)}; of an item: {FIELD_VALUES}",
    "problem": (Kind.DROPPED, Kind.GUEST, Kind.MISSING),
    "partition": "number of a partition of `events` that is assigned to this worker",
    "stage": ("step", "rank", "test", "publish", "deliver", "store"),
    "part": ("outputs", "changelog", "transaction"),
    "work": ("rank", "follow", "learn"),
    "k": tuple(map(str, CUTS)),
    "method": ("model", "popularity", *EXPERTS, *ENCODERS),
    "strategy": "`hybrid`; `popularity`, if nothing is known about the session; or the baseline that `OUZEL_MODEL` names",
    "expert": ("markov", "rules", "cooccurrence", "repeat", *ENCODERS, "popularity", "other"),
    "rank": RANKS,
    "version": "version of Ouzel",
    "domain": "`OUZEL_TOPIC_PREFIX` without its last dot",
    "model": "`OUZEL_MODEL`",
    "encoder": "`OUZEL_ENCODER`; `none` for a model without one",
    "delivery": ("leased", "exactly_once"),
}
"""The values of each label: all of them, or a description."""

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
    "ouzel_follower_lag": "transitions",
    "ouzel_trainer_up": "0 or 1",
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
"""The units of metrics whose names do not end in one. A counter's unit is what it counts."""


class ProcessMetrics:
    """The process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.build = gauge("ouzel_build_info", "Version and configuration of this worker; join on it for the domain.", BUILD)
        self.ready = gauge("ouzel_ready", "1 while this worker processes events.")
        self.loop_delay = gauge("ouzel_event_loop_delay_seconds", "Last delay of the event loop, measured twice a second.")


class JourneyMetrics:
    """The journey of events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        self.events = counter("ouzel_events", "Records of `events`, by type and outcome.", ["event_type", "outcome"])
        self.dead_letters = counter("ouzel_dead_letters", "Records that are not valid events, by reason.", ["reason"])
        self.keys = counter("ouzel_foreign_keys", "Events whose record key is not their user or session.", ["kind"])
        self.times = counter("ouzel_event_times", "Events whose time was not epoch milliseconds, by its form.", ["form"])
        self.early = counter("ouzel_early_events", "Events whose time is before 2000, so it may not be a time.")
        self.untyped = counter("ouzel_untyped_events", "Events without an event type. They count as views.")
        self.fields = counter(
            "ouzel_event_fields",
            "Fields that events are without: `dropped` could not be read, `guest` is no user, `missing` is not where "
            "`OUZEL_FIELD_MAPPING` says.",
            ["field", "problem"],
        )
        self.interactions = counter("ouzel_interactions", "Events that are interactions: a user acts on an item.")
        self.transitions = counter("ouzel_transitions", "Transitions written to Kafka.")
        self.recommendations = counter("ouzel_recommendations", "Recommendations written to Kafka.", ["strategy"])
        self.freshness = BulkHistogram(
            "ouzel_freshness_seconds",
            "Time from an event's Kafka time to its published recommendation; an hour at most.",
            FRESHNESS_BUCKETS,
            registry,
            WORST_FRESHNESS_S,
        )
        self.event_freshness = BulkHistogram(
            "ouzel_event_freshness_seconds",
            "Time from an event's own timestamp to its published recommendation; an hour at most.",
            FRESHNESS_BUCKETS,
            registry,
            WORST_FRESHNESS_S,
        )
        self.unit = histogram("ouzel_unit_size", "Records in a unit of work.", buckets=UNIT_BUCKETS)
        self.stage = histogram("ouzel_stage_seconds", "Duration of a stage of a unit.", ["stage"], buckets=STAGE_BUCKETS)
        self.delivery = histogram(
            "ouzel_delivery_seconds",
            "Time from sending a part of a unit until Kafka confirms it.",
            ["part"],
            buckets=STAGE_BUCKETS,
        )
        self.delivery_failures = counter("ouzel_delivery_failures", "Parts of units that Kafka did not confirm.", ["part"])
        self.retries = counter("ouzel_produce_retries", "Batches sent again because the broker had not accepted them.")
        self.abandoned = counter("ouzel_units_abandoned", "Units abandoned in a rebalance. They are processed again.")
        self.foreign_writes = counter(
            "ouzel_foreign_writes", "Changelog records of a worker that had lost its partition; overwritten."
        )


class GroupMetrics:
    """The consumer group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        by = ["partition"]
        self.assigned = gauge("ouzel_assigned_partitions", "Partitions of `events` that are assigned to this worker.")
        self.lag = gauge("ouzel_consumer_lag", "Offsets of the partition that are not processed yet.", by)
        self.committed = gauge("ouzel_committed_offset", "Committed offset: the first event to process after a crash.", by)
        self.oldest = gauge(
            "ouzel_oldest_uncommitted_age_seconds", "Age, by Kafka time, of the oldest uncommitted event; 0 if there is none.", by
        )
        self.removed = counter("ouzel_events_removed", "Events that the topic had removed before this worker could read them.")
        self.generation = gauge("ouzel_group_generation", "Generation of the group that this worker last joined.")
        self.lease_fresh = gauge(
            "ouzel_lease_fresh", "1 while the group has recently confirmed this worker; otherwise it sends nothing."
        )
        self.rebalances = counter("ouzel_rebalances", "Rebalances in which this worker took part.")
        self.rebalance_seconds = histogram(
            "ouzel_rebalance_seconds", "Time from a rebalance until events are processed again.", buckets=GROUP_BUCKETS
        )
        self.recoveries = counter("ouzel_recoveries", "Recoveries of sessions after an assignment of partitions.")
        self.recovery_seconds = gauge(
            "ouzel_recovery_seconds", "Time from the last assignment until events were processed again."
        )
        self.refused_elections = counter(
            "ouzel_refused_elections", "Records of the learner topic, which should be empty; ignored."
        )
        self.commit_seconds = histogram("ouzel_commit_seconds", "Duration of a commit of offsets.", buckets=GROUP_BUCKETS)


class SessionMetrics:
    """The sessions in RocksDB."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        by = ["partition"]
        self.keys = gauge("ouzel_sessions_held", "State keys in RocksDB, by its own estimate.", by)
        self.expired = counter("ouzel_sessions_expired", "State keys removed because their sessions expired.")
        self.refused = counter("ouzel_refused_states", "Changelog records that are not valid states; ignored.")
        self.size = gauge("ouzel_rocksdb_size_bytes", "Size of RocksDB's table files.", by)
        self.memory = gauge("ouzel_rocksdb_memory_bytes", "Size of RocksDB's tables in memory.", by)
        self.pending = gauge(
            "ouzel_rocksdb_pending_compaction_bytes", "Bytes that compaction has yet to rewrite, by RocksDB's estimate.", by
        )
        self.compactions = gauge("ouzel_rocksdb_running_compactions", "Compactions that RocksDB runs now.", by)
        self.stopped = gauge("ouzel_rocksdb_write_stopped", "1 while RocksDB accepts no writes.", by)
        self.disk_free = gauge("ouzel_disk_free_bytes", "Free space on the disk of the data directory.")
        self.disk_size = gauge("ouzel_disk_size_bytes", "Size of the disk of the data directory.")


class QualityMetrics:
    """The quality of the rankings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        at_k, place = ["k", "method"], ["strategy", "rank"]
        self.recall = gauge("ouzel_prequential_recall", "Recall of all live tests of this worker.", at_k)
        self.mrr = gauge("ouzel_prequential_mrr", "MRR of all live tests of this worker.", at_k)
        self.live_recall = gauge(
            "ouzel_live_recall", "Recall of recent live tests: a test's weight halves every 10,000 tests.", at_k
        )
        self.live_mrr = gauge("ouzel_live_mrr", "MRR of recent live tests, weighted in the same way.", at_k)
        self.live_ndcg = gauge("ouzel_live_ndcg", "NDCG of recent live tests, weighted in the same way.", at_k)
        self.tests = counter(
            "ouzel_prequential_tests", "Live prequential tests; of single experts for 1 event in 16.", ["method"]
        )
        self.hits = counter("ouzel_prequential_hits", "Live tests whose item was among the first k.", at_k)
        self.skipped = counter(
            "ouzel_prequential_skipped", "Events not tested: the session's previous ranking was not in memory."
        )
        self.items = counter(
            "ouzel_recommended_items",
            "The first 20 items of 1 recommendation in 16, by the expert that gives the reason.",
            ["expert"],
        )
        self.tail = counter(
            "ouzel_recommended_tail_items", "Of these, items outside the head: the fewest items that have 80% of events."
        )
        self.repeats = counter("ouzel_recommended_repeats", "Of these, items that the session has interacted with.")
        self.coverage = gauge(
            "ouzel_catalogue_coverage_ratio", "Share of the known items in the last 2,000 to 4,000 of these recommendations."
        )
        self.clicks = counter("ouzel_recommendation_clicks", "Interactions that name a remembered recommendation.", place)
        self.impressions = counter(
            "ouzel_recommendation_impressions", "Impressions that name a remembered recommendation.", place
        )
        self.unattributed = counter("ouzel_recommendations_unattributed", "Events that name a recommendation not remembered.")
        self.follow_ups = counter(
            "ouzel_recommendation_follow_ups", "Events on an item of the session's last recommendation, named or not.", place
        )


SECTIONS = (ProcessMetrics, JourneyMetrics, GroupMetrics, SessionMetrics, ItemMetrics, ModelMetrics, QualityMetrics)
