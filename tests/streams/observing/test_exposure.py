from __future__ import annotations

import math

from streams.counts import Counts
from streams.observing.exposure import SHOWN, WINDOW, Exposure


def exposure() -> tuple[Exposure, Counts]:
    sampled = Exposure(("markov", "gru"))
    sampled.head = {"a", "b"}
    return sampled, Counts()


def test_items_are_counted_by_expert_as_tail_and_as_repeats() -> None:
    sampled, counts = exposure()
    sampled.add(["a", "b", "c", "d"], ["markov", "gru", "markov", "vmis_knn"], ["d", "x", "a"], counts)
    assert counts.items == {"markov": 2, "gru": 1, "other": 1}
    assert (counts.tail_items, counts.repeated_items) == (2, 2)


def test_only_the_items_that_consumers_show_are_counted() -> None:
    sampled, counts = exposure()
    items = [f"i{n}" for n in range(50)]
    sampled.add(items, ["gru"] * 50, items, counts)
    assert (counts.items, counts.tail_items, counts.repeated_items) == ({"gru": SHOWN}, SHOWN, SHOWN)
    assert sampled.coverage(100) == SHOWN / 100


def test_nothing_is_counted_before_the_popular_items_are_known() -> None:
    sampled, counts = exposure()
    sampled.head = frozenset()
    sampled.add(["a"], ["gru"], [], counts)
    assert counts == Counts()
    assert (sampled.coverage(10), math.isnan(sampled.coverage(0))) == (0.0, True)


def test_coverage_is_that_of_the_latest_recommendations() -> None:
    sampled, counts = exposure()
    for n in range(WINDOW):
        sampled.add([f"i{n % 10}"], ["gru"], [], counts)
    assert sampled.coverage(40) == 10 / 40
    for n in range(WINDOW):
        sampled.add([f"i{5 + n % 10}"], ["gru"], [], counts)
    assert sampled.coverage(40) == 15 / 40
    sampled.add(["i5"], ["gru"], [], counts)
    assert sampled.coverage(40) == 10 / 40, "the first ten are too old"
    assert sampled.coverage(5) == 1.0, "an item may have been evicted since"
