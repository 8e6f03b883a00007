"""The serving process's Prometheus metrics, all declared here. No label holds an id of a user, a session or an item."""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from serving.state.request_tally import RequestTally
from streams.observing.histogram import BulkHistogram

REQUEST_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
WAIT_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)
WRITE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
AGE_BUCKETS = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)


LABELS = {
    "route": "a route's template, or none",
    "method": "of HTTP; any, where there is no such route",
    "status": "of HTTP",
    "reason": "of cut connections: head, malformed, slow_head, slow_reader; for want of a key: missing, scheme, unknown, scope, "
    "host; of failed writes: full, away, timeout, error; of events: as the worker's dead letters",
    "topic": ("recommendations", "items", "transitions", "events"),
    "outcome": ("fresh", "timeout", "duplicate", "no_ranking"),
    "strategy": "as the worker's, and other",
    "fallback": ("none", "experts", "popularity", "catalogue"),
    "kind": ("user", "live"),
    "version": "of Ouzel",
    "python": "its version",
    "domain": "what topic names begin with, less the last dot",
}
"""The values of each label, for docs/metrics.md."""
UNITS = {
    "ouzel_serve_ready": "0 or 1",
    "ouzel_serve_requests_in_flight": "requests",
    "ouzel_serve_cached_users": "users",
    "ouzel_serve_cached_rankings": "rankings",
    "ouzel_serve_cache_capacity": "rankings",
    "ouzel_serve_catalogue_items": "items",
    "ouzel_serve_follower_lag": "records",
    "ouzel_serve_follower_caught_up": "0 or 1",
    "ouzel_serve_kafka_available": "0 or 1",
    "ouzel_serve_streams": "streams",
}
"""The units of what no suffix tells it."""


class ServingTelemetry:
    """Every metric of `ouzel serve`, in a registry of its own. ``domain`` is what topic names begin with, less the last dot."""

    def __init__(self, domain: str = "", registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry if registry is not None else CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)
        self.ready = Gauge("ouzel_serve_ready", "1 when this copy has caught up with its topics.", registry=r)

        self.requests = RequestTally("ouzel_serve", REQUEST_BUCKETS, r)
        self.in_flight = Gauge("ouzel_serve_requests_in_flight", "Requests being answered now, streams included.", registry=r)
        self.cut = Counter(
            "ouzel_serve_connections_cut", "Connections ended for what they did or did not.", ["reason"], registry=r
        )
        self.auth_refusals = Counter("ouzel_serve_auth_refusals", "Requests refused for want of a key.", ["reason"], registry=r)

        self.cached_users = Gauge("ouzel_serve_cached_users", "Users and anonymous sessions whose rankings are kept.", registry=r)
        self.cached_rankings = Gauge(
            "ouzel_serve_cached_rankings", "Rankings kept, those of older sessions included.", registry=r
        )
        self.cache_capacity = Gauge("ouzel_serve_cache_capacity", "Rankings that may be kept.", registry=r)
        self.cache_evictions = Counter("ouzel_serve_cache_evictions", "Rankings left out for newer ones.", registry=r)
        self.newest_ranking = Gauge(
            "ouzel_serve_newest_ranking_timestamp_seconds", "Kafka time of the newest ranking in the cache.", registry=r
        )
        self.catalogue_items = Gauge("ouzel_serve_catalogue_items", "Items in the catalogue.", registry=r)

        self.follower_lag = Gauge("ouzel_serve_follower_lag", "Records of a topic not taken yet.", ["topic"], registry=r)
        self.caught_up = Gauge("ouzel_serve_follower_caught_up", "1 when a topic was read to its end.", ["topic"], registry=r)
        self.refused_records = Counter("ouzel_serve_refused_records", "Records that could not be read.", ["topic"], registry=r)

        self.kafka_available = Gauge("ouzel_serve_kafka_available", "1 while Kafka confirms what is written.", registry=r)
        self.kafka_write_seconds = Histogram(
            "ouzel_serve_kafka_write_seconds", "From sending to the last confirmation.", buckets=WRITE_BUCKETS, registry=r
        )
        self.failed_writes = Counter("ouzel_serve_failed_writes", "Writes answered with 503.", ["reason"], registry=r)
        self.events_accepted = Counter("ouzel_serve_events_accepted", "Events confirmed by Kafka.", registry=r)
        self.events_refused = Counter("ouzel_serve_events_refused", "Events refused, by reason.", ["reason"], registry=r)
        self.waits = Counter("ouzel_serve_waits", "Requests with wait_ms, by outcome.", ["outcome"], registry=r)
        self.wait_seconds = Histogram(
            "ouzel_serve_wait_seconds", "From an event's arrival to its fresh ranking, where one came.", buckets=WAIT_BUCKETS,
            registry=r,
        )  # fmt: skip

        self.rankings = Counter(
            "ouzel_serve_rankings", "Rankings answered, by strategy and by the last one that filled them up.",
            ["strategy", "fallback"], registry=r,
        )  # fmt: skip
        self.ranking_age_seconds = BulkHistogram(
            "ouzel_serve_ranking_age_seconds", "Age of a user's ranking when it is answered.", AGE_BUCKETS, r
        )
        self.streams = Gauge("ouzel_serve_streams", "Streams of server-sent events that are open.", ["kind"], registry=r)
        self.streams_skipped = Counter(
            "ouzel_serve_streams_skipped", "Rankings left out of a stream because its client was slow.", registry=r
        )
        build = {"version": version("ouzel"), "python": platform.python_version(), "domain": domain}
        Info("ouzel_build", "What runs.", registry=r).info(build)
