from __future__ import annotations

import math

from streams.accuracy import LiveAccuracy

ANN, BOB = (0, b"u:ann", 1), (0, b"u:bob", 2)


def test_a_test_is_against_the_ranking_of_the_sessions_previous_event() -> None:
    accuracy = LiveAccuracy()
    accuracy.remember(ANN, ["x", "b"])
    accuracy.test(ANN, "b", ["b"])
    accuracy.remember(ANN, ["b"])
    accuracy.test(ANN, "c", ["b"])
    assert (accuracy.model.tests, accuracy.model.recall, accuracy.model.mrr) == (2, 0.5, 0.25)
    assert (accuracy.popularity.recall, accuracy.popularity.mrr) == (0.5, 0.5)


def test_only_the_first_20_places_count() -> None:
    accuracy = LiveAccuracy()
    accuracy.remember(ANN, [f"i{n}" for n in range(50)])
    accuracy.test(ANN, "i20", [f"i{n}" for n in range(50)])
    assert (accuracy.model.recall, accuracy.popularity.recall) == (0, 0)


def test_a_test_without_the_ranking_is_skipped_and_counted() -> None:
    accuracy = LiveAccuracy(capacity=1)
    accuracy.remember(ANN, ["a"])
    accuracy.remember(BOB, ["a"])
    accuracy.test(ANN, "a", [])
    assert accuracy.skipped == 1
    assert math.isnan(accuracy.model.recall)
