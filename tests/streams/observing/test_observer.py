"""What the observer counts of units, read as Prometheus reads it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest
from support.processes.running import samples

from models.encoders.registry import ENCODERS
from models.experts.reasons import REASONS
from models.gate.per_expert import PER_EXPERT
from models.recommender import Ranking
from streams.counts import Counts
from streams.events.records import Event, recommendation_id
from streams.observing.metrics import EXPERTS, LABELS
from streams.observing.observer import SAMPLED, MetricsObserver, Unobserved
from streams.observing.telemetry import Telemetry
from streams.sessions.step import Outcome
from streams.work import Trigger, Work

TOPIC = "ouzel.events"
ANN = (0, b"u:ann", 1)


def trigger(offset: int, item: str, outcome: Outcome = Outcome.ACCEPTED, named: str | None = None, at: int = 0) -> Trigger:
    event = Event(event_id=f"e{offset}", item_id=item, timestamp=at, user_id="ann", recommendation_id=named)
    record: Any = SimpleNamespace(topic=TOPIC, partition=0, offset=offset, timestamp=at + 1000)
    return Trigger(event, record, ANN, outcome, ["a", item], frozenset(), 2, 1.0, per_expert=False)


def ranking(*items: str, strategy: str = "hybrid", **per_expert: list[str]) -> Ranking:
    count = len(items)
    return Ranking(list(items), [1.0] * count, ["markov"] * count, [None] * count, strategy, per_expert or None)


class Watched:
    """An observer, a way to show it units, and a scrape."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.assigned = {0}
        self.observer = MetricsObserver(self.telemetry, TOPIC, lambda: self.assigned)

    def unit(self, *pairs: tuple[Trigger, Ranking], now: float = 2.0, **of_work: Any) -> None:
        work = Work(triggers=[first for first, _ in pairs], **of_work)
        rankings = [second for _, second in pairs]
        self.observer.test(work, rankings, ["popular", "b"])
        self.observer.done(work, rankings, now)

    def scrape(self) -> dict[str, float]:
        return samples(generate_latest(self.telemetry.registry).decode())


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_each_event_is_tested_against_the_previous_ranking_of_its_session(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("x", "b")))
    watched.unit((trigger(2, "b"), ranking("b")), (trigger(3, "c"), ranking("c")))
    shown = watched.scrape()
    assert shown["ouzel_prequential_tests_total|method=model"] == 2
    assert shown["ouzel_prequential_hits_total|k=10|method=model"] == 1
    assert (shown["ouzel_prequential_recall|k=20|method=model"], shown["ouzel_prequential_mrr|k=20|method=model"]) == (0.5, 0.25)
    assert shown["ouzel_live_recall|k=10|method=popularity"] == pytest.approx(0.5, rel=1e-3)
    assert shown["ouzel_live_ndcg|k=20|method=model"] == pytest.approx(0.5 / math.log2(3), rel=1e-3)
    assert shown["ouzel_recommendation_follow_ups_total|rank=2-3|strategy=hybrid"] == 1
    again = watched.scrape()
    assert again["ouzel_prequential_tests_total|method=model"] == 2, "a scrape counts nothing"


@pytest.mark.parametrize("outcome", [Outcome.LATE, Outcome.SUPPRESSED])
def test_late_and_suppressing_events_are_not_tested(watched: Watched, outcome: Outcome) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.unit((trigger(2, "b", outcome), ranking("b")))
    assert watched.scrape()["ouzel_prequential_tests_total|method=model"] == 0


def test_a_test_whose_ranking_is_missing_is_skipped_and_counted(watched: Watched) -> None:
    watched.unit((trigger(2, "b"), ranking("b")))
    shown = watched.scrape()
    assert (shown["ouzel_prequential_skipped_total"], shown["ouzel_prequential_tests_total|method=model"]) == (1, 0)
    assert math.isnan(shown["ouzel_prequential_recall|k=20|method=model"])


def test_an_event_is_not_tested_against_its_own_or_a_later_ranking(watched: Watched) -> None:
    for offset in (5, 5, 4):
        watched.unit((trigger(offset, "b"), ranking("b")))
    shown = watched.scrape()
    assert (shown["ouzel_prequential_skipped_total"], shown["ouzel_prequential_tests_total|method=model"]) == (3, 0)


def test_experts_are_tested_where_they_ranked(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("x", rules=["b"], markov=[])))
    watched.unit((trigger(2, "b"), ranking("c")))
    watched.unit((trigger(3, "c"), ranking("c")))
    shown = watched.scrape()
    assert {name: shown[f"ouzel_prequential_tests_total|method={name}"] for name in ("model", "rules", "markov")} == {
        "model": 2,
        "rules": 1,
        "markov": 1,
    }
    assert shown["ouzel_live_recall|k=20|method=rules"] == 1
    assert shown["ouzel_live_recall|k=20|method=markov"] == 0


def test_one_event_in_16_is_sampled(watched: Watched) -> None:
    assert [offset for offset in range(100) if watched.observer.samples(offset)] == list(range(0, 100, SAMPLED))
    watched.observer.exposure.head = {"b"}
    watched.telemetry.known_items = 4
    watched.unit(*((trigger(offset, "x"), ranking("a", "b")) for offset in range(32, 64)))
    shown = watched.scrape()
    assert shown["ouzel_recommended_items_total|expert=markov"] == 4
    assert (shown["ouzel_recommended_tail_items_total"], shown["ouzel_recommended_repeats_total"]) == (2, 2)
    assert shown["ouzel_catalogue_coverage_ratio"] == 0.5


def test_clicks_and_impressions_are_attributed_to_places_of_the_recommendation_they_name(watched: Watched) -> None:
    first = recommendation_id(TOPIC, 0, 1)
    watched.unit((trigger(1, "a"), ranking("x", "b", strategy="popularity")))
    shown = [Event(event_id="", item_id=item, timestamp=0, user_id="ann", recommendation_id=first) for item in ("x", "b", "z")]
    watched.unit((trigger(5, "b", named=first), ranking("b")), impressions=shown)
    watched.unit((trigger(6, "c", named=first), ranking("b")), (trigger(7, "d", named="elsewhere"), ranking("b")))
    watched.unit((trigger(8, "x", Outcome.SUPPRESSED, named=first), ranking("b")))
    shown = watched.scrape()
    clicks = {name: value for name, value in shown.items() if name.startswith("ouzel_recommendation_clicks_total")}
    assert clicks == {
        "ouzel_recommendation_clicks_total|rank=2-3|strategy=popularity": 1,
        "ouzel_recommendation_clicks_total|rank=none|strategy=popularity": 1,
    }
    for rank in ("1", "2-3", "none"):
        assert shown[f"ouzel_recommendation_impressions_total|rank={rank}|strategy=popularity"] == 1
    assert shown["ouzel_recommendations_unattributed_total"] == 1


def test_a_deleted_sessions_rankings_are_dropped(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.unit(forgotten=[ANN])
    watched.unit((trigger(2, "b", named=recommendation_id(TOPIC, 0, 1)), ranking("b")))
    shown = watched.scrape()
    assert (shown["ouzel_prequential_skipped_total"], shown["ouzel_recommendations_unattributed_total"]) == (1, 1)


def test_rankings_of_lost_partitions_are_dropped(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.observer.refresh()
    watched.unit((trigger(2, "b", named=recommendation_id(TOPIC, 0, 1)), ranking("b")))
    assert watched.scrape()["ouzel_prequential_skipped_total"] == 0
    watched.assigned = {1}
    watched.observer.refresh()
    watched.unit((trigger(3, "b", named=recommendation_id(TOPIC, 0, 2)), ranking("b")))
    shown = watched.scrape()
    assert (shown["ouzel_prequential_skipped_total"], shown["ouzel_recommendations_unattributed_total"]) == (1, 1)


def test_a_unit_is_counted_by_type_outcome_and_strategy_and_by_both_freshnesses(watched: Watched) -> None:
    outcomes = [("view", "accepted"), ("view", Outcome.ACCEPTED), ("purchase", "late"), ("unknown", "replayed")]
    pairs = [(trigger(1, "a", at=1000), ranking("b")), (trigger(2, "a", at=0), ranking("b", strategy="popularity"))]
    watched.unit(*pairs, now=2.25, outcomes=outcomes)
    shown = watched.scrape()
    assert shown["ouzel_events_total|event_type=view|outcome=accepted"] == 2
    assert shown["ouzel_events_total|event_type=unknown|outcome=replayed"] == 1
    for strategy in ("hybrid", "popularity"):
        assert shown[f"ouzel_recommendations_total|strategy={strategy}"] == 1
    assert (shown["ouzel_freshness_seconds_count"], shown["ouzel_freshness_seconds_sum"]) == (2, pytest.approx(0.25 + 1.25))
    assert shown["ouzel_event_freshness_seconds_sum"] == pytest.approx(1.25 + 2.25)
    assert shown["ouzel_freshness_seconds_bucket|le=0.5"] == 1
    assert shown["ouzel_unit_size_sum"] == 4


def test_stages_are_timed(watched: Watched) -> None:
    for name in LABELS["stage"]:
        with watched.observer.stage(name):
            pass
        assert watched.scrape()[f"ouzel_stage_seconds_count|stage={name}"] == 1


def test_unobserved_takes_no_sample_and_counts_nothing() -> None:
    unobserved = Unobserved()
    work = Work(triggers=[trigger(16, "a")])
    with unobserved.stage("step"):
        assert not unobserved.samples(0)
    unobserved.test(work, [ranking("a")], [])
    unobserved.done(work, [ranking("a")], 0.0)
    unobserved.refresh()
    assert work.counts == Counts()


def test_the_label_values_are_the_names_that_the_models_use() -> None:
    assert EXPERTS == PER_EXPERT
    assert set(ENCODERS) < set(LABELS["method"])
    assert {*REASONS, *ENCODERS} < set(LABELS["expert"])
