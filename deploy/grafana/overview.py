"""The dashboard Overview: is Ouzel healthy, are recommendations fresh, and are they good?"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.model import lift, variety
from deploy.grafana.panels import BAD, GOOD, Panel, Query, bars, falling, lines, rising, states, tile
from deploy.grafana.pipeline import cpu, memory, outcomes
from deploy.grafana.promql import live, quantile, rate, recorded, share, total
from deploy.grafana.serving import answered

ALLOWED = 0.001
"""The share of errors that each objective allows."""
OBJECTIVES = ("freshness", "processing", "serving")


def overview() -> Dashboard:
    """The dashboard to open first."""
    description = "Is Ouzel healthy, are recommendations fresh, and are they good? The other dashboards show why."
    rows = [
        Row("", _tiles()),
        Row("Are recommendations fresh?", _freshness()),
        Row("Are recommendations good?", _quality()),
        Row("Objectives and alerts", _objectives()),
        Row("Load", _load()),
    ]
    return board("Overview", description, rows)


def _tiles() -> Sequence[Panel]:
    firing = 'ALERTS{alertname=~"Ouzel.+", alertstate="firing"}'
    return [
        tile(
            "Alerts", "Alerts of Ouzel that are firing now. Each has a runbook in docs/operations.md.",
            f"count({firing}) or vector(0)", limits=rising(1, 1), trend=False,
        ),
        tile(
            "Workers ready", "Workers that are processing events. If there is none, events wait in Kafka.",
            total("ouzel_ready"), limits=falling(1, 1), trend=False,
        ),
        tile(
            "Learner", "Exactly one worker of each domain trains the model; the others take its parameters.",
            recorded("domain:ouzel_learner:sum"), legend="{{domain}}",
            texts={0: ("none", BAD), 1: ("one", GOOD), 2: ("two", BAD)},
            trend=False,
        ),
        tile(
            "Freshness, p99", "Time from an event's Kafka timestamp to its published recommendation. The objective is 1 s.",
            quantile(0.99, "ouzel_freshness_seconds"), unit="s", limits=rising(0.5, 1),
        ),
        tile(
            "Events waiting", "Events in Kafka that are not processed yet. A short peak is harmless; steady growth is a problem.",
            total("ouzel_consumer_lag"), limits=rising(1000, 10_000),
        ),
        tile("Events", "Events processed per second.", rate("ouzel_events_total", where='outcome!="replayed"'), unit="eps"),
        lift(),
        answered(),
    ]  # fmt: skip


def _freshness() -> Sequence[Panel]:
    freshness = "ouzel_freshness_seconds"
    return [
        lines(
            "Freshness", "Time from an event's Kafka timestamp to its published recommendation. Dashed: the objective for p99.",
            (quantile(0.5, freshness), "p50"), (quantile(0.9, freshness), "p90"), (quantile(0.99, freshness), "p99"),
            unit="s", width=12, log=True, limits=rising(1, 1), colours={"p50": "light-blue", "p90": "blue", "p99": "purple"},
        ),
        lines(
            "Events waiting", "Events in Kafka that are not processed yet.",
            (recorded("domain:ouzel_consumer_lag:sum"), "{{domain}}"), width=6,
        ),
        lines(
            "Oldest event waiting",
            "Age of the oldest event that is not committed. It grows when a partition is stuck. Dashed: the objective.",
            (recorded("domain:ouzel_oldest_uncommitted_age_seconds:max"), "{{domain}}"), unit="s", width=6, limits=rising(60, 60),
        ),
    ]  # fmt: skip


def _quality() -> Sequence[Panel]:
    experts = live("recall", 'method!~"model|popularity"', by="method")
    return [
        lines(
            "Recall@20, live",
            "How often a session's next item was among the 20 published for it. Recent tests count more: a weight halves every "
            "10,000 tests.",
            (live("recall", 'method="model"'), "model"), (f"max({experts})", "best expert"),
            (live("recall", 'method="popularity"'), "popularity"),
            unit="percentunit", width=12, colours={"model": "blue", "best expert": "green", "popularity": "orange"},
            dashed=("best expert", "popularity"),
        ),
        lines(
            "Click-through", "Share of impressions with a recommendation id that were clicked.",
            (share("ouzel_recommendation_clicks_total", "ouzel_recommendation_impressions_total"), "clicks per impression"),
            unit="percentunit", width=6,
        ),
        variety(6),
    ]  # fmt: skip


def _objectives() -> Sequence[Panel]:
    def of_each(window: str, shape: str) -> list[Query]:
        """The share of errors per objective and domain, formatted into ``shape``."""
        errors = {name: recorded(f"domain:ouzel_slo_{name}_errors:ratio{window}") for name in OBJECTIVES}
        return [(shape.format(of), f"{name}, {{{{domain}}}}") for name, of in errors.items()]

    return [
        bars(
            "Error budget left, 30 days",
            "The share that is left of the errors that an objective of 99.9% allows in 30 days. The objectives: recommendations "
            "within 1 s, no event waiting for 60 s, requests without 5xx.",
            *of_each("30d", f"1 - {{}} / {ALLOWED}"), limits=falling(0.1, 0.5), high=1, width=6,
        ),
        lines(
            "Burn rate, last hour",
            "How many times faster than allowed the error budget is used. At 1 it lasts 30 days; at 14.4 (dashed) a critical "
            "alert fires.",
            *of_each("1h", f"{{}} / {ALLOWED}"), unit="suffix:x", width=8, limits=rising(14.4, 14.4), sums=("max", "lastNotNull"),
        ),
        tile(
            "Time with p99 within 1 s, 30 days",
            "Share of the time in which p99 freshness was at most 1 s. The objective is 99.9%.",
            f"min({recorded('domain:ouzel_freshness_seconds:p99_within_1s_ratio30d')})", unit="percentunit", decimals=2, width=4,
            limits=falling(0.99, 1 - ALLOWED), height=8,
        ),
        states(
            "Alerts that fired", "Which alerts fired, and when. It should be empty.",
            ('max by (alertname) (ALERTS{alertname=~"Ouzel.+", alertstate="firing"})', "{{alertname}}"),
            texts={1: ("firing", BAD)}, width=6, empty="none fired",
        ),
    ]  # fmt: skip


def _load() -> Sequence[Panel]:
    return [
        outcomes(),
        cpu(),
        memory(),
    ]  # fmt: skip
