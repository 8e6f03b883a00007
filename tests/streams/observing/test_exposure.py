from __future__ import annotations

import math
from collections import Counter

from streams.observing.exposure import SHOWN, WINDOW, Exposure


def exposure() -> tuple[Exposure, Counter[tuple[str, ...]]]:
    made = Exposure(("markov", "gru"))
    made.head = {"a", "b"}
    return made, Counter()


def test_who_speaks_for_the_items_which_are_tail_and_which_are_repeats() -> None:
    watched, counts = exposure()
    watched.add(["a", "b", "c", "d"], ["markov", "gru", "markov", "vmis_knn"], ["d", "x", "a"], counts)
    assert counts == {
        ("items", "markov"): 2,
        ("items", "gru"): 1,
        ("items", "other"): 1,
        ("tail",): 2,
        ("repeats",): 2,
    }


def test_only_what_consumers_show_counts() -> None:
    watched, counts = exposure()
    items = [f"i{n}" for n in range(50)]
    watched.add(items, ["gru"] * 50, items, counts)
    assert counts == {("items", "gru"): SHOWN, ("tail",): SHOWN, ("repeats",): SHOWN}
    assert watched.coverage(100) == SHOWN / 100


def test_before_the_popular_items_are_known_nothing_is_counted() -> None:
    watched, counts = exposure()
    watched.head = frozenset()
    watched.add(["a"], ["gru"], [], counts)
    assert not counts
    assert (watched.coverage(10), math.isnan(watched.coverage(0))) == (0.0, True)


def test_coverage_is_of_the_last_recommendations_only() -> None:
    watched, counts = exposure()
    for n in range(WINDOW):
        watched.add([f"i{n % 10}"], ["gru"], [], counts)
    assert watched.coverage(40) == 10 / 40
    for n in range(WINDOW):
        watched.add([f"i{5 + n % 10}"], ["gru"], [], counts)
    assert watched.coverage(40) == 15 / 40
    watched.add(["i5"], ["gru"], [], counts)
    assert watched.coverage(40) == 10 / 40, "the first ten are out of sight"
    assert watched.coverage(5) == 1.0, "some known items may have been forgotten since"
