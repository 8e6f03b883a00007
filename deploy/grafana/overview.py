"""Overview: is it healthy, is it fresh, does it recommend well?"""

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
"""Share of errors that each objective allows."""
OBJECTIVES = ("freshness", "processing", "serving")


def overview() -> Dashboard:
    """The first look, for everybody."""
    tells = "Is it healthy, is it fresh, does it recommend well? The other dashboards say why."
    rows = [
        Row("", _tiles()),
        Row("Is it fresh?", _fresh()),
        Row("Does it recommend well?", _well()),
        Row("Objectives and alerts", _objectives()),
        Row("Load", _load()),
    ]
    return board("Overview", tells, rows)


def _tiles() -> Sequence[Panel]:
    firing = 'ALERTS{alertname=~"Ouzel.+", alertstate="firing"}'
    return [
        tile(
            "Alerts", "Alerts of Ouzel that fire now. Each has a runbook in docs/operations.md.",
            f"count({firing}) or vector(0)", limits=rising(1, 1), trend=False,
        ),
        tile(
            "Workers ready", "Workers that process events. If there is none, events wait in Kafka.",
            total("ouzel_ready"), limits=falling(1, 1), trend=False,
        ),
        tile(
            "Learner", "Exactly one worker of a domain trains; the others take its parameters.",
            recorded("domain:ouzel_learner:sum"), legend="{{domain}}", says={0: ("none", BAD), 1: ("one", GOOD), 2: ("two", BAD)},
            trend=False,
        ),
        tile(
            "Freshness, p99", "From an event's Kafka time to its published recommendation. The objective is 1 s.",
            quantile(0.99, "ouzel_freshness_seconds"), unit="s", limits=rising(0.5, 1),
        ),
        tile(
            "Events waiting", "Events of the log that are not done yet. A burst does no harm, growth does.",
            total("ouzel_consumer_lag"), limits=rising(1000, 10_000),
        ),
        tile("Events", "Events processed per second.", rate("ouzel_events_total", where='outcome!="replayed"'), unit="eps"),
        lift(),
        answered(),
    ]  # fmt: skip


def _fresh() -> Sequence[Panel]:
    freshness = "ouzel_freshness_seconds"
    return [
        lines(
            "Freshness", "From an event's Kafka time to its published recommendation. Dashed: the objective, for p99.",
            (quantile(0.5, freshness), "p50"), (quantile(0.9, freshness), "p90"), (quantile(0.99, freshness), "p99"),
            unit="s", width=12, log=True, limits=rising(1, 1), colours={"p50": "light-blue", "p90": "blue", "p99": "purple"},
        ),
        lines(
            "Events waiting", "Events of the log that are not done yet.",
            (recorded("domain:ouzel_consumer_lag:sum"), "{{domain}}"), width=6,
        ),
        lines(
            "Oldest event waiting",
            "Age of the first event that is not committed. It grows when a partition stands still. Dashed: the objective.",
            (recorded("domain:ouzel_oldest_uncommitted_age_seconds:max"), "{{domain}}"), unit="s", width=6, limits=rising(60, 60),
        ),
    ]  # fmt: skip


def _well() -> Sequence[Panel]:
    experts = live("recall", 'method!~"model|popularity"', by="method")
    return [
        lines(
            "Recall@20, live",
            "Was a session's next item among the 20 that were published for it? Fading: a test weighs half after 10,000 more.",
            (live("recall", 'method="model"'), "model"), (f"max({experts})", "best expert"),
            (live("recall", 'method="popularity"'), "popularity"),
            unit="percentunit", width=12, colours={"model": "blue", "best expert": "green", "popularity": "orange"},
            dashed=("best expert", "popularity"),
        ),
        lines(
            "Click-through", "Of the impressions that name their recommendation, the share that was clicked.",
            (share("ouzel_recommendation_clicks_total", "ouzel_recommendation_impressions_total"), "clicks per impression"),
            unit="percentunit", width=6,
        ),
        variety(6),
    ]  # fmt: skip


def _objectives() -> Sequence[Panel]:
    def of_each(window: str, shape: str) -> list[Query]:
        """The share of errors, in a shape, of each objective and domain."""
        errors = {name: recorded(f"domain:ouzel_slo_{name}_errors:ratio{window}") for name in OBJECTIVES}
        return [(shape.format(of), f"{name}, {{{{domain}}}}") for name, of in errors.items()]

    return [
        bars(
            "Budget left, 30 days",
            "Of the errors that an objective of 99.9% allows in 30 days, the share that is left: recommendations within 1 s, "
            "no event waiting for 60 s, requests without 5xx.",
            *of_each("30d", f"1 - {{}} / {ALLOWED}"), limits=falling(0.1, 0.5), high=1, width=6,
        ),
        lines(
            "Burn rate, last hour",
            "How many times faster than allowed the budget goes. At 1 it lasts 30 days; 14.4 (dashed) wakes a person.",
            *of_each("1h", f"{{}} / {ALLOWED}"), unit="suffix:x", width=8, limits=rising(14.4, 14.4), sums=("max", "lastNotNull"),
        ),
        tile(
            "Time with p99 within 1 s, 30 days", "The objective of freshness in its plain form; it is 99.9% of the time.",
            f"min({recorded('domain:ouzel_freshness_seconds:p99_within_1s_ratio30d')})", unit="percentunit", decimals=2, width=4,
            limits=falling(0.99, 1 - ALLOWED), height=8,
        ),
        states(
            "Alerts that fired", "What fired, and when. Empty is good.",
            ('max by (alertname) (ALERTS{alertname=~"Ouzel.+", alertstate="firing"})', "{{alertname}}"),
            says={1: ("fires", BAD)}, width=6, empty="none fired",
        ),
    ]  # fmt: skip


def _load() -> Sequence[Panel]:
    return [
        outcomes(),
        cpu(),
        memory(),
    ]  # fmt: skip
