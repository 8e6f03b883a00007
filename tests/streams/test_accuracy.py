from __future__ import annotations

import math

from streams.accuracy import LiveAccuracy

ANN, BOB, CAT = (0, b"u:ann", 1), (0, b"u:bob", 2), (0, b"u:cat", 3)


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
    accuracy = LiveAccuracy(capacity=2)
    for name in (ANN, BOB, CAT):
        accuracy.remember(name, ["a"])
    accuracy.test(ANN, "a", [])
    assert accuracy.skipped == 1
    assert math.isnan(accuracy.model.recall)


def test_the_younger_half_of_what_is_remembered_is_always_there() -> None:
    accuracy = LiveAccuracy(capacity=4)
    names = [(0, b"u:%d" % n, n) for n in range(7)]
    for name in names:
        accuracy.remember(name, ["a"])
        accuracy.test(name, "a", [])
    for name in names[-2:]:
        accuracy.test(name, "a", [])
    assert (accuracy.skipped, accuracy.model.hits) == (0, 9)
