"""The Prometheus metrics of `ouzel serve`. No label contains an id of a user, session or item."""

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
from streams.observing.items import FIELD_VALUES

REQUEST_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
WAIT_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)
WRITE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
AGE_BUCKETS = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)

LABELS = {
    "route": "template of the route; `none` if no route matches",
    "method": "`GET`, `HEAD`, `POST`, `PUT`, `DELETE`, or `other`",
    "status": "HTTP status",
    "reason": "of closed connections: `behind_stream`, `full`, `head`, `idle`, `malformed`, `queue`, `slow_body`, `slow_head`, "
    "`slow_reader`; of rejected requests: `missing`, `scheme`, `unknown`, `scope`, `host`, `key_file`; of failed writes: `full`, "
    "`away`, `timeout`, `error`, `denied`; of rejected events: as in the worker's dead letters",
    "topic": ("recommendations", "items", "transitions", "events", "model"),
    "outcome": ("fresh", "timeout", "duplicate", "no_ranking"),
    "strategy": "as in the worker's metrics, and `other`",
    "fallback": ("none", "experts", "popularity", "catalogue"),
    "kind": ("user", "live"),
    "field": FIELD_VALUES,
    "version": "version of Ouzel",
    "python": "version of Python",
    "domain": "`OUZEL_TOPIC_PREFIX` without its last dot",
}
"""The values of each label: all of them, or a description."""
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
"""The units of metrics whose names do not end in one."""


class ServingTelemetry:
    """Every metric of `ouzel serve`, in a registry of its own.

    ``domain`` is the topic prefix without its last dot.
    """

    def __init__(self, domain: str = "", registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry if registry is not None else CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)
        self.ready = Gauge(
            "ouzel_serve_ready",
            "1 once this process has caught up with its topics, while it can use its API keys.",
            registry=r,
        )

        self.requests = RequestTally("ouzel_serve", REQUEST_BUCKETS, r)
        self.in_flight = Gauge("ouzel_serve_requests_in_flight", "Requests being answered now, including streams.", registry=r)
        self.cut = Counter(
            "ouzel_serve_connections_cut", "Connections that `ouzel serve` closed early, by reason.", ["reason"], registry=r
        )
        self.auth_refusals = Counter(
            "ouzel_serve_auth_refusals", "Requests rejected because of their key or host.", ["reason"], registry=r
        )

        self.key_file_failures = Counter(
            "ouzel_serve_key_file_failures", "Times that the file of API keys could not be used.", registry=r
        )

        self.cached_users = Gauge(
            "ouzel_serve_cached_users", "Users and anonymous sessions that have rankings in the cache.", registry=r
        )
        self.cached_rankings = Gauge(
            "ouzel_serve_cached_rankings", "Rankings in the cache, including those of older sessions.", registry=r
        )
        self.cache_capacity = Gauge("ouzel_serve_cache_capacity", "Maximum number of rankings in the cache.", registry=r)
        self.cached_bytes = Gauge("ouzel_serve_cached_bytes", "Memory of the rankings in the cache.", registry=r)
        self.cache_capacity_bytes = Gauge(
            "ouzel_serve_cache_capacity_bytes", "Maximum memory of the rankings in the cache.", registry=r
        )
        self.cache_evictions = Counter("ouzel_serve_cache_evictions", "Rankings evicted from the cache.", registry=r)
        self.newest_ranking = Gauge(
            "ouzel_serve_newest_ranking_timestamp_seconds", "Kafka time of the newest ranking in the cache.", registry=r
        )
        self.catalogue_items = Gauge("ouzel_serve_catalogue_items", "Items in the catalogue.", registry=r)

        self.follower_lag = Gauge("ouzel_serve_follower_lag", "Records of a topic that are not read yet.", ["topic"], registry=r)
        self.caught_up = Gauge("ouzel_serve_follower_caught_up", "1 once a topic was read to its end.", ["topic"], registry=r)
        self.refused_records = Counter(
            "ouzel_serve_refused_records", "Records that could not be decoded and were ignored.", ["topic"], registry=r
        )

        self.dropped_item_fields = Counter(
            "ouzel_serve_dropped_item_fields",
            "Fields that could not be read of items that were otherwise read.",
            ["field"],
            registry=r,
        )

        self.kafka_available = Gauge("ouzel_serve_kafka_available", "1 while Kafka confirms writes.", registry=r)
        self.kafka_write_seconds = Histogram(
            "ouzel_serve_kafka_write_seconds",
            "Time from sending a request's records until Kafka confirms the last one.",
            buckets=WRITE_BUCKETS,
            registry=r,
        )
        self.failed_writes = Counter(
            "ouzel_serve_failed_writes",
            "Requests to write that were answered with 503 or 429.",
            ["reason"],
            registry=r,
        )
        self.events_accepted = Counter("ouzel_serve_events_accepted", "Events that Kafka confirmed.", registry=r)
        self.events_refused = Counter("ouzel_serve_events_refused", "Events rejected, by reason.", ["reason"], registry=r)
        self.waits = Counter("ouzel_serve_waits", "Requests with `wait_ms`, by outcome.", ["outcome"], registry=r)
        self.wait_seconds = Histogram(
            "ouzel_serve_wait_seconds", "Time from an event's arrival to its fresh ranking, if one came in time.",
            buckets=WAIT_BUCKETS, registry=r,
        )  # fmt: skip

        self.rankings = Counter(
            "ouzel_serve_rankings", "Rankings returned, by strategy and by the last fallback that filled them up.",
            ["strategy", "fallback"], registry=r,
        )  # fmt: skip
        self.ranking_age_seconds = BulkHistogram(
            "ouzel_serve_ranking_age_seconds", "Age of a user's ranking when it is returned.", AGE_BUCKETS, r
        )
        self.streams = Gauge("ouzel_serve_streams", "Open streams of server-sent events.", ["kind"], registry=r)
        self.streams_skipped = Counter(
            "ouzel_serve_streams_skipped", "Rankings not sent to a stream because its client was slow.", registry=r
        )
        build = {"version": version("ouzel"), "python": platform.python_version(), "domain": domain}
        Info("ouzel_build", "Versions of this process, and its domain.", registry=r).info(build)
