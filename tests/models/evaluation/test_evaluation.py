"""Evaluation: which transitions are predicted from which state, and the metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from support.models_streams import learned, ring

from models.evaluation.metrics import at_cuts, curve, intervals, recovery, summary
from models.evaluation.prequential import MISS, Predictions, run
from models.evaluation.stream import Stream
from models.registry import build


def stream(count: int = 300, test_from: int | None = None) -> Stream:
    """The ring, with twenty transitions to a session."""
    batch = ring(count)
    tests = [test_from is not None and n >= test_from for n in range(count)]
    return Stream(batch, [n // 20 for n in range(count)], tests)


def evaluated(method: str, on: Stream, *, only_test_file: bool = False, frozen: bool = False) -> Predictions:
    done: list[int] = []
    predictions = run(build(method), on, 20, only_test_file=only_test_file, frozen=frozen, progress=done.append)
    assert done == sorted(done)
    assert done[-1] == len(on) or frozen
    return predictions


@pytest.mark.parametrize("method", ["markov", "hybrid"])
def test_the_ranks_are_those_of_the_models_rankings(method: str) -> None:
    on = stream()
    predictions = evaluated(method, on)
    rankings = learned(build(method), on.transitions)
    expected = [
        ranking.items.index(item) if item in ranking.items else MISS
        for ranking, item, prefix in zip(rankings, on.transitions.item, on.transitions.prefix, strict=True)
        if prefix
    ]
    assert predictions.rank.tolist() == expected
    assert predictions.row.tolist() == [n for n, prefix in enumerate(on.transitions.prefix) if prefix]
    assert (predictions.learned, predictions.known_items) == (300, len(set(on.transitions.item)))


@pytest.mark.parametrize("method", ["markov", "hybrid"])
def test_predictions_of_the_test_file_are_those_of_the_whole_run(method: str) -> None:
    on = stream(test_from=200)
    whole, part = evaluated(method, on), evaluated(method, on, only_test_file=True)
    assert part.row.tolist() == [row for row in whole.row.tolist() if row >= 200]
    assert part.rank.tolist() == whole.rank[whole.row >= 200].tolist()


def test_a_frozen_evaluation_learns_nothing_from_the_test_file() -> None:
    on = stream(test_from=200)
    predictions = evaluated("markov", on, only_test_file=True, frozen=True)
    assert predictions.learned == 200
    model = build("markov")
    learned(model, on.transitions.take(range(200)))
    other = stream(test_from=200)
    other.transitions.item[250] = other.transitions.item[251]
    changed = evaluated("markov", other, only_test_file=True, frozen=True)
    same = predictions.row != 250
    assert predictions.rank[same].tolist() == changed.rank[same].tolist()


def test_late_events_and_the_first_of_a_session_are_not_predicted() -> None:
    on = stream()
    late = next(n for n, prefix in enumerate(on.transitions.prefix) if prefix)
    on.transitions.weight[late] = 0.0
    predicted = on.predicted(only_test_file=False)
    assert not predicted[late]
    assert predicted.sum() == sum(bool(prefix) for prefix in on.transitions.prefix) - 1


def ranks(values: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.array(values, np.int16)


def test_metrics_of_four_predictions_computed_by_hand() -> None:
    metrics = at_cuts(ranks([0, 1, 9, MISS]), [1, 5, 10])
    assert (metrics["recall@1"], metrics["recall@5"], metrics["recall@10"]) == (0.25, 0.5, 0.75)
    assert (metrics["precision@5"], metrics["f1@5"]) == (0.1, pytest.approx(2 * 0.5 / 6))
    assert metrics["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 10) / 4)
    assert metrics["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(11)) / 4)
    assert metrics["mrr@5"] == pytest.approx(1.5 / 4)


def test_intervals_contain_the_mean_and_are_wider_with_fewer_sessions() -> None:
    rng = np.random.default_rng(0)
    rank = np.where(rng.random(4000) < 0.6, 0, MISS).astype(np.int16)
    many = intervals(rank, np.arange(4000), 20)
    assert many["recall@20_low"] < (rank == 0).mean() < many["recall@20_high"]
    assert many["recall@20_high"] - many["recall@20_low"] == pytest.approx(2 * 1.96 * math.sqrt(0.24 / 4000), rel=0.1)
    rank = np.repeat(rank[:40], 100)
    few = intervals(rank, np.repeat(np.arange(40), 100), 20)
    assert few["recall@20_high"] - few["recall@20_low"] > 4 * (many["recall@20_high"] - many["recall@20_low"])


def test_a_summary_counts_cold_items_cold_sessions_the_tail_and_repeats() -> None:
    on = stream(400)
    predictions = evaluated("popularity", on)
    before = on.seen_before(np.ones(400, np.bool_))
    figures = summary(predictions, on, 20, seen_before=before)
    cold = [n for n in predictions.row.tolist() if on.transitions.item[:n].count(on.transitions.item[n]) < 10]
    assert figures["cold_item_predictions"] == len(cold)
    assert figures["cold_session_predictions"] == sum(length == 1 for length in on.transitions.length)
    assert sum(n for _, n, _ in figures["by_position"]) == sum(n for _, n, _ in figures["by_popularity"]) == len(predictions.row)
    new, count, recall = figures["by_popularity"][0]
    assert (new, recall) == ("new", 0.0)
    assert count == int((before[predictions.row] == 0).sum())
    assert 0 < figures["coverage@20"] <= 1
    assert figures["long_tail@20"] + sum(
        times for item, times in predictions.recommended.items() if item in dict(on.items().most_common(12))
    ) / predictions.shown == pytest.approx(1)
    assert figures["recall@20"] == pytest.approx(
        sum(hits * n for _, n, hits in figures["by_position"] if n) / len(predictions.row)
    )


def test_a_summary_of_no_predictions_has_no_shares() -> None:
    on = stream(3)
    on.transitions.prefix = [[], [], []]
    figures = summary(evaluated("markov", on), on, 20, seen_before=on.seen_before(np.ones(3, np.bool_)))
    assert (figures["recall@20"], figures["cold_item_recall@20"], figures["curve"]) == (0.0, None, [])


def test_the_curve_has_the_recall_of_each_window() -> None:
    rows = np.arange(0, 400, 2)
    points = curve(rows, rows >= 200, 400)
    assert [at for at, _ in points] == list(range(10, 401, 10))
    assert [recall for _, recall in points] == [0.0] * 20 + [1.0] * 20


def test_recovery_counts_events_until_the_recall_is_back() -> None:
    rows = np.arange(20_000)
    hit = rows % 2 == 0
    hit[10_000:13_000] = False
    assert recovery(rows, hit, 10_000) == pytest.approx(2900, abs=5), "900 of a window of 1000 are hits again"
    hit[10_000:] = False
    assert recovery(rows, hit, 10_000) is None
