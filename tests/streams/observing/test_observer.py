"""What the observer makes of units, read as Prometheus reads it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest
from support.running import samples

from models.encoders.registry import ENCODERS
from models.experts.reasons import REASONS
from models.gate.per_expert import PER_EXPERT
from models.recommender import Ranking
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
    """An observer, the units that it is shown, and a scrape."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.assigned = {0}
        self.observer = MetricsObserver(self.telemetry, TOPIC, lambda: self.assigned)

    def unit(self, *pairs: tuple[Trigger, Ranking], now: float = 2.0, **of_work: Any) -> None:
        work = Work(triggers=[first for first, _ in pairs], **of_work)
        rankings = [second for _, second in pairs]
        self.observer.test(work, rankings, ["popular", "b"])
        self.observer.done(work, rankings, now)

    def told(self) -> dict[str, float]:
        return samples(generate_latest(self.telemetry.registry).decode())


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_each_event_is_tested_against_the_ranking_of_its_sessions_previous_event(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("x", "b")))
    watched.unit((trigger(2, "b"), ranking("b")), (trigger(3, "c"), ranking("c")))
    told = watched.told()
    assert told["ouzel_prequential_tests_total|method=model"] == 2
    assert told["ouzel_prequential_hits_total|k=10|method=model"] == 1
    assert (told["ouzel_prequential_recall|k=20|method=model"], told["ouzel_prequential_mrr|k=20|method=model"]) == (0.5, 0.25)
    assert told["ouzel_live_recall|k=10|method=popularity"] == pytest.approx(0.5, rel=1e-3)
    assert told["ouzel_live_ndcg|k=20|method=model"] == pytest.approx(0.5 / math.log2(3), rel=1e-3)
    assert told["ouzel_recommendation_follow_ups_total|rank=2-3|strategy=hybrid"] == 1
    again = watched.told()
    assert again["ouzel_prequential_tests_total|method=model"] == 2, "a scrape counts nothing"


@pytest.mark.parametrize("outcome", [Outcome.LATE, Outcome.SUPPRESSED])
def test_only_what_comes_next_is_a_test(watched: Watched, outcome: Outcome) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.unit((trigger(2, "b", outcome), ranking("b")))
    assert watched.told()["ouzel_prequential_tests_total|method=model"] == 0


def test_a_test_without_the_ranking_is_left_out_and_counted(watched: Watched) -> None:
    watched.unit((trigger(2, "b"), ranking("b")))
    told = watched.told()
    assert (told["ouzel_prequential_skipped_total"], told["ouzel_prequential_tests_total|method=model"]) == (1, 0)
    assert math.isnan(told["ouzel_prequential_recall|k=20|method=model"])


def test_experts_are_tested_beside_the_model_where_they_ranked(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("x", rules=["b"], markov=[])))
    watched.unit((trigger(2, "b"), ranking("c")))
    watched.unit((trigger(3, "c"), ranking("c")))
    told = watched.told()
    assert {name: told[f"ouzel_prequential_tests_total|method={name}"] for name in ("model", "rules", "markov")} == {
        "model": 2,
        "rules": 1,
        "markov": 1,
    }
    assert told["ouzel_live_recall|k=20|method=rules"] == 1
    assert told["ouzel_live_recall|k=20|method=markov"] == 0


def test_one_event_in_16_is_looked_at_closely(watched: Watched) -> None:
    assert [offset for offset in range(100) if watched.observer.samples(offset)] == list(range(0, 100, SAMPLED))
    watched.observer.exposure.head = {"b"}
    watched.telemetry.known_items = 4
    watched.unit(*((trigger(offset, "x"), ranking("a", "b")) for offset in range(32, 64)))
    told = watched.told()
    assert told["ouzel_recommended_items_total|expert=markov"] == 4
    assert (told["ouzel_recommended_tail_items_total"], told["ouzel_recommended_repeats_total"]) == (2, 2)
    assert told["ouzel_catalogue_coverage_ratio"] == 0.5


def test_clicks_and_impressions_that_name_a_recommendation_are_traced_to_its_places(watched: Watched) -> None:
    first = recommendation_id(TOPIC, 0, 1)
    watched.unit((trigger(1, "a"), ranking("x", "b", strategy="popularity")))
    shown = [Event(event_id="", item_id=item, timestamp=0, user_id="ann", recommendation_id=first) for item in ("x", "b", "z")]
    watched.unit((trigger(5, "b", named=first), ranking("b")), impressions=shown)
    watched.unit((trigger(6, "c", named=first), ranking("b")), (trigger(7, "d", named="elsewhere"), ranking("b")))
    watched.unit((trigger(8, "x", Outcome.SUPPRESSED, named=first), ranking("b")))
    told = watched.told()
    clicks = {name: value for name, value in told.items() if name.startswith("ouzel_recommendation_clicks_total")}
    assert clicks == {
        "ouzel_recommendation_clicks_total|rank=2-3|strategy=popularity": 1,
        "ouzel_recommendation_clicks_total|rank=none|strategy=popularity": 1,
    }
    for rank in ("1", "2-3", "none"):
        assert told[f"ouzel_recommendation_impressions_total|rank={rank}|strategy=popularity"] == 1
    assert told["ouzel_recommendations_unattributed_total"] == 1


def test_of_a_deleted_session_nothing_is_remembered(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.observer.forget(ANN)
    watched.unit()
    watched.unit((trigger(2, "b", named=recommendation_id(TOPIC, 0, 1)), ranking("b")))
    told = watched.told()
    assert (told["ouzel_prequential_skipped_total"], told["ouzel_recommendations_unattributed_total"]) == (1, 1)


def test_of_partitions_that_others_have_now_nothing_is_remembered(watched: Watched) -> None:
    watched.unit((trigger(1, "a"), ranking("b")))
    watched.observer.refresh()
    watched.unit((trigger(2, "b", named=recommendation_id(TOPIC, 0, 1)), ranking("b")))
    assert watched.told()["ouzel_prequential_skipped_total"] == 0
    watched.assigned = {1}
    watched.observer.refresh()
    watched.unit((trigger(3, "b", named=recommendation_id(TOPIC, 0, 2)), ranking("b")))
    told = watched.told()
    assert (told["ouzel_prequential_skipped_total"], told["ouzel_recommendations_unattributed_total"]) == (1, 1)


def test_a_unit_is_counted_by_type_outcome_and_strategy_and_its_freshness_by_both_times(watched: Watched) -> None:
    outcomes = [("view", "accepted"), ("view", Outcome.ACCEPTED), ("purchase", "late"), ("unknown", "replayed")]
    pairs = [(trigger(1, "a", at=1000), ranking("b")), (trigger(2, "a", at=0), ranking("b", strategy="popularity"))]
    watched.unit(*pairs, now=2.25, outcomes=outcomes)
    told = watched.told()
    assert told["ouzel_events_total|event_type=view|outcome=accepted"] == 2
    assert told["ouzel_events_total|event_type=unknown|outcome=replayed"] == 1
    for strategy in ("hybrid", "popularity"):
        assert told[f"ouzel_recommendations_total|strategy={strategy}"] == 1
    assert (told["ouzel_freshness_seconds_count"], told["ouzel_freshness_seconds_sum"]) == (2, pytest.approx(0.25 + 1.25))
    assert told["ouzel_event_freshness_seconds_sum"] == pytest.approx(1.25 + 2.25)
    assert told["ouzel_freshness_seconds_bucket|le=0.5"] == 1
    assert told["ouzel_unit_size_sum"] == 4


def test_stages_are_timed(watched: Watched) -> None:
    for name in LABELS["stage"]:
        with watched.observer.stage(name):
            pass
        assert watched.told()[f"ouzel_stage_seconds_count|stage={name}"] == 1


def test_nobody_watching_costs_no_sample_and_no_memory() -> None:
    nobody = Unobserved()
    work = Work(triggers=[trigger(16, "a")])
    with nobody.stage("step"):
        assert not nobody.samples(0)
    nobody.test(work, [ranking("a")], [])
    nobody.done(work, [ranking("a")], 0.0)
    nobody.forget(ANN)
    nobody.refresh()
    assert not work.counts


def test_the_labels_told_of_are_those_of_the_models() -> None:
    assert EXPERTS == PER_EXPERT
    assert set(ENCODERS) < set(LABELS["method"])
    assert {*REASONS, *ENCODERS} < set(LABELS["expert"])
