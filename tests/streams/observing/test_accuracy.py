from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams.observing.accuracy as module
from streams.observing.accuracy import GROWTH, HALF_LIFE, MISSED, RESCALE_AT, LiveAccuracy, Tally

ITEMS = [f"i{n}" for n in range(30)]


def test_recall_and_mrr_of_the_whole_run_weigh_all_tests_equally() -> None:
    accuracy = LiveAccuracy()
    assert accuracy.test("b", ["x", "b"], {"b": 0}) == 1
    assert accuracy.test("c", ["b"], {"b": 0}) == MISSED
    assert (accuracy.model.tests, accuracy.model.recall, accuracy.model.mrr) == (2, 0.5, 0.25)
    assert (accuracy.popularity.recall, accuracy.popularity.mrr) == (0.5, 0.5)
    assert (accuracy.model.hits(1), accuracy.model.hits(2)) == (0, 1)


def test_all_measures_are_nan_before_the_first_test() -> None:
    tally = Tally()
    measures = (tally.recall, tally.mrr, tally.late_recall(20), tally.late_mrr(20), tally.late_ndcg(20))
    assert all(map(math.isnan, measures))


def test_a_test_has_half_its_weight_after_the_half_life() -> None:
    accuracy = LiveAccuracy()
    accuracy.test("a", ["a"], {})
    for _ in range(HALF_LIFE):
        accuracy.test("a", ["b"], {})
    growth = 2 ** (1 / HALF_LIFE)
    weights = [growth**n for n in range(HALF_LIFE + 1)]
    assert accuracy.model.late_recall(20) == pytest.approx(weights[0] / sum(weights))
    assert weights[-1] == pytest.approx(2 * weights[0])
    assert accuracy.model.recall == 1 / (HALF_LIFE + 1)


def test_weights_of_an_expert_fade_with_the_tests_of_the_model() -> None:
    accuracy = LiveAccuracy()
    accuracy.test("a", [], {}, {"rules": ["a"]})
    for _ in range(HALF_LIFE - 1):
        accuracy.test("a", [], {})
    accuracy.test("a", [], {}, {"rules": ["b"]})
    assert accuracy.tallies["rules"].tests == 2
    assert accuracy.tallies["rules"].late_recall(20) == pytest.approx(1 / 3)


@given(st.lists(st.tuples(st.sampled_from(ITEMS), st.permutations(ITEMS)), min_size=1, max_size=20), st.sampled_from([1, 10, 20]))
def test_recent_measures_equal_the_textbook_mean_over_few_tests(tests: list[tuple[str, list[str]]], k: int) -> None:
    accuracy = LiveAccuracy()
    ranks = []
    for item, order in tests:
        accuracy.test(item, order[:20], {})
        rank = order.index(item) + 1
        ranks.append(rank if rank <= min(k, 20) else math.inf)
    tally, count = accuracy.model, len(ranks)
    assert tally.late_recall(k) == pytest.approx(sum(rank < math.inf for rank in ranks) / count, rel=1e-2)
    assert tally.late_mrr(k) == pytest.approx(sum(1 / rank for rank in ranks) / count, rel=1e-2)
    assert tally.late_ndcg(k) == pytest.approx(sum(1 / math.log2(rank + 1) for rank in ranks) / count, rel=1e-2)


def test_scaling_the_weights_down_changes_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    rarely, often = LiveAccuracy(), LiveAccuracy()
    for accuracy in (rarely, often):
        for n in range(200):
            accuracy.test("a", ["b"] * (n % 3) + ["a"], {"a": n % 2}, {"rules": ["a"]} if n % 5 == 0 else None)
        monkeypatch.setattr(module, "RESCALE_AT", GROWTH**2)
    assert often.model.weight < rarely.model.weight < RESCALE_AT
    assert set(often.tallies) == set(rarely.tallies) == {"model", "popularity", "rules"}
    for name, tally in often.tallies.items():
        for k in (1, 2, 20):
            assert tally.late_recall(k) == pytest.approx(rarely.tallies[name].late_recall(k))
            assert tally.late_mrr(k) == pytest.approx(rarely.tallies[name].late_mrr(k))


def test_weights_stay_finite_in_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = LiveAccuracy()
    accuracy.test("a", ["a"], {}, {"rules": ["a"]})
    before = accuracy.model.late_recall(20)
    with monkeypatch.context() as patch:
        patch.setattr(module, "GROWTH", 10 * RESCALE_AT)  # as if many tests had come between
        accuracy.test("a", ["b"], {})
    accuracy.test("a", ["a"], {})
    assert accuracy.model.weight < 10
    assert before == 1
    assert accuracy.model.late_recall(20) == pytest.approx(0.5, rel=1e-3)
    assert accuracy.tallies["rules"].late_recall(20) == 1
