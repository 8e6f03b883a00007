"""The dashboard Serving: does `ouzel serve` answer, how fast, and how fresh are its answers?"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.panels import BAD, GOOD, Panel, falling, lines, rising, stack, states, tile
from deploy.grafana.promql import quantile, rate, recorded, series, share, total

REQUESTS, SECONDS, API = "ouzel_serve_requests_total", "ouzel_serve_request_seconds", 'route=~"/v1/.+"'
RANKING = 'route="/v1/recommendations/{user_id}"'
YES_NO = {0: ("no", BAD), 1: ("yes", GOOD)}


def serving() -> Dashboard:
    """The dashboard for the HTTP API."""
    description = "Requests to ouzel serve: answers, response times, freshness of the answers, and events sent by HTTP."
    rows = [
        Row("", _tiles()),
        Row("Requests", _requests()),
        Row("Answers", _answers()),
        Row("Events by HTTP", _writes()),
        Row("Topics and cache", _followed()),
        Row("Connections and keys", _edge(), folded=True),
        Row("Processes", _processes(), folded=True),
    ]
    return board("Serving", description, rows)


def answered() -> Panel:
    """The objective of serving, in one figure."""
    return tile(
        "Requests answered",
        "Share of requests to /v1 in the last hour that were not answered with 5xx. The objective is 99.9%.",
        f"min(1 - {recorded('domain:ouzel_slo_serving_errors:ratio1h')})", unit="percentunit", limits=falling(0.99, 0.999),
        decimals=2, empty="no requests",
    )  # fmt: skip


def _tiles() -> Sequence[Panel]:
    return [
        tile("Copies ready", "Copies of ouzel serve that have caught up with their topics.", total("ouzel_serve_ready"),
             limits=falling(1, 1), trend=False),
        answered(),
        tile("Requests", "Requests to /v1 per second.", rate(REQUESTS, where=API), unit="reqps"),
        tile("Ranking response time, p99", "Time from the head of a request to the end of its answer.",
             quantile(0.99, SECONDS, where=RANKING), unit="s", limits=rising(0.1, 0.5)),
        tile("Newest ranking", "Age of the newest ranking in the copy that is furthest behind.",
             f"max(time() - ({series('ouzel_serve_newest_ranking_timestamp_seconds')} > 0))", unit="s", limits=rising(60, 600)),
        tile("Records waiting", "Records of the followed topics that are not read yet.", total("ouzel_serve_follower_lag"),
             limits=rising(100, 1000)),
        tile("Open streams",
             "Clients that are connected to a stream of fresh rankings (server-sent events).",
             total("ouzel_serve_streams"), decimals=0),
        tile("Writes to Kafka",
             "Whether Kafka confirms events that were sent by HTTP.", f"min({series('ouzel_serve_kafka_available')})",
             texts={0: ("fail", BAD), 1: ("work", GOOD)}, trend=False),
    ]  # fmt: skip


def _requests() -> Sequence[Panel]:
    return [
        stack("By route", "Requests per second.", (rate(REQUESTS, "route", API), "{{route}}"), unit="reqps"),
        stack("By status", "4xx are errors of the client. 5xx are errors of Ouzel, and count against the objective.",
              (rate(REQUESTS, "status", API), "{{status}}"), unit="reqps", colours={"200": GOOD, "202": "blue", "503": BAD,
              "500": BAD}),
        lines("Response time",
              "Time from the head of a request to the end of its answer, without streams. It includes the client's wait_ms.",
              (quantile(0.5, SECONDS, where=API), "p50"), (quantile(0.9, SECONDS, where=API), "p90"),
              (quantile(0.99, SECONDS, where=API), "p99"), unit="s", log=True,
              colours={"p50": "light-blue", "p90": "blue", "p99": "purple"}),
        lines("Response time, p99 by route", "Time that 99 of 100 requests stay below.",
              (quantile(0.99, SECONDS, "route", API), "{{route}}"),
              unit="s", width=12, log=True),
        lines("In flight", "Requests that are being answered now, including streams.",
              (series("ouzel_serve_requests_in_flight"), "{{instance}}"), width=12),
    ]  # fmt: skip


def _answers() -> Sequence[Panel]:
    age, rankings = "ouzel_serve_ranking_age_seconds", "ouzel_serve_rankings_total"
    return [
        stack("Strategies", "Rankings in answers, by the strategy that made them.", (rate(rankings, "strategy"), "{{strategy}}"),
              unit="recps", colours={"hybrid": "blue", "popularity": "orange"}),
        lines("Fallbacks", "Share of answers that needed a fallback to have enough items, by the last fallback used.",
              (share(rankings, rankings, of_part='fallback!="none"', by="fallback"), "{{fallback}}"), unit="percentunit"),
        lines("Age of rankings", "Age of the rankings in answers. Old rankings are normal for users who return after a while.",
              (quantile(0.5, age), "p50"), (quantile(0.9, age), "p90"), unit="s", log=True,
              colours={"p50": "light-blue", "p90": "blue"}),
    ]  # fmt: skip


def _writes() -> Sequence[Panel]:
    wait, write = "ouzel_serve_wait_seconds", "ouzel_serve_kafka_write_seconds"
    return [
        lines("Events", "Events sent by HTTP. Accepted events are confirmed by Kafka.",
              (rate("ouzel_serve_events_accepted_total"), "accepted"),
              (f"{rate('ouzel_serve_events_refused_total')} or vector(0)", "refused"),
              unit="eps", width=6, colours={"accepted": GOOD, "refused": "orange"}),
        lines("Event to fresh ranking", "Requests with wait_ms: time from the arrival of the event to its ranking.",
              (quantile(0.5, wait), "p50"), (quantile(0.99, wait), "p99"), unit="s", width=6,
              colours={"p50": "light-blue", "p99": "purple"}),
        stack("Waits",
              "Requests with wait_ms, by the outcome of the wait.", (rate("ouzel_serve_waits_total", "outcome"), "{{outcome}}"),
              unit="reqps", width=6, colours={"fresh": GOOD, "timeout": "orange"}),
        lines("Writes to Kafka", "Time from sending events to Kafka until the last one is confirmed.",
              (quantile(0.5, write), "p50"), (quantile(0.99, write), "p99"), unit="s", width=6,
              colours={"p50": "light-blue", "p99": "purple"}),
    ]  # fmt: skip


def _followed() -> Sequence[Panel]:
    cached, capacity = series("ouzel_serve_cached_rankings"), series("ouzel_serve_cache_capacity")
    taken, room = series("ouzel_serve_cached_bytes"), series("ouzel_serve_cache_capacity_bytes")
    return [
        lines("Records waiting, by topic", "Records that are not read yet. Dashed: the limit of the warning.",
              (f"max by (topic) ({series('ouzel_serve_follower_lag')})", "{{topic}}"), width=6, limits=rising(1000, 1000)),
        states("Caught up", "Whether each topic has been read to its end since the start.",
               (f"min by (instance, topic) ({series('ouzel_serve_follower_caught_up')})", "{{instance}} {{topic}}"), texts=YES_NO,
               width=6),
        lines("Rankings cached",
              "Share of the cache in use, of its number of rankings (OUZEL_SERVE_RANKINGS) and of its memory "
              "(OUZEL_SERVE_CACHE_BYTES). A full cache evicts the least recently updated rankings.",
              (f"{cached} / {capacity}", "{{instance}} rankings"), (f"{taken} / {room}", "{{instance}} memory"),
              unit="percentunit", high=1, width=6),
        lines("Users cached", "Users and anonymous sessions with a cached ranking, and evicted rankings per second.",
              (f"max({series('ouzel_serve_cached_users')})", "users"), (rate("ouzel_serve_cache_evictions_total"), "evictions"),
              width=6),
    ]  # fmt: skip


def _edge() -> Sequence[Panel]:
    return [
        lines("Failed writes",
              "Requests with events that were answered with 503, or with 429 because too many records were waiting for Kafka.",
              (rate("ouzel_serve_failed_writes_total", "reason"), "{{reason}}"),
              unit="reqps", width=6),
        lines("Refused keys", "Requests without a key that allows them.",
              (rate("ouzel_serve_auth_refusals_total", "reason"), "{{reason}}"), unit="reqps", width=6),
        lines("Connections closed", "Connections closed because of a too long head, a too slow client, or invalid HTTP.",
              (rate("ouzel_serve_connections_cut_total", "reason"), "{{reason}}"), unit="ops", width=6),
        lines("Rankings skipped in streams", "Rankings that were not sent to a stream because its client was slow.",
              (rate("ouzel_serve_streams_skipped_total"), "skipped"), unit="ops", width=6),
        lines("Refused records", "Records of the followed topics that could not be decoded.",
              (rate("ouzel_serve_refused_records_total", "topic"), "{{topic}}"), unit="ops", height=6),
        lines("Fields of items dropped", "Optional fields of records of the items topic that could not be read.",
              (rate("ouzel_serve_dropped_item_fields_total", "field"), "{{field}}"), unit="ops", height=6),
        lines("Refused events", "Events sent by HTTP that are not valid, by reason.",
              (rate("ouzel_serve_events_refused_total", "reason"), "{{reason}}"), unit="eps", height=6),
    ]  # fmt: skip


def _processes() -> Sequence[Panel]:
    of_serve = 'job="ouzel-serve"'
    return [
        lines("CPU", "Cores that each copy uses.",
              (f"rate({series('process_cpu_seconds_total', of_serve)}[$__rate_interval])", "{{instance}}"), unit="cores"),
        lines("Memory", "Resident memory of each copy.",
              (series("process_resident_memory_bytes", of_serve), "{{instance}}"), unit="bytes"),
        lines("Open files", "Open file descriptors of each copy.", (series("process_open_fds", of_serve), "{{instance}}")),
    ]  # fmt: skip
