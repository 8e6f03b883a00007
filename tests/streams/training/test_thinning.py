"""A trainer that is behind trains on fewer steps, and a replay takes the same ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.learning.model_log import MOST_RANGES
from streams.training.thinning import Replayed, Thinning


def shares(limit: int, waiting: list[int]) -> list[float]:
    thinning = Thinning(limit)
    thinning.on = True
    taken = []
    for begin, count in enumerate(waiting):
        thinning.trains(begin, count)
        taken.append(thinning.share)
    return taken


def test_the_share_follows_the_lag_and_rises_again_at_half_of_each_limit() -> None:
    assert shares(100, [0, 100, 101, 200, 201, 401, 9999]) == [1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 8, 1 / 8]
    assert shares(100, [500, 399, 201, 200, 199, 60, 51, 50, 0]) == [1 / 8, 1 / 8, 1 / 8, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1, 1]


def test_every_step_trains_without_a_limit_and_while_a_trainer_catches_up() -> None:
    assert shares(0, [10**9]) == [1]
    thinning = Thinning(100)
    assert all(thinning.trains(begin, 10**9) for begin in range(20))
    assert thinning.ranges(20) == []


def test_one_step_in_eight_trains_at_the_lowest_share() -> None:
    thinning = Thinning(1)
    thinning.on = True
    assert [thinning.trains(begin, 10**6) for begin in range(17)].count(True) == 3


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 3000)), max_size=200), st.integers(0, 199))
def test_a_replay_trains_on_the_same_steps_across_a_restart(log: list[tuple[int, int]], restarted_at: int) -> None:
    thinning, begin, trained = Thinning(300), 0, []
    thinning.on = True
    for number, (length, waiting) in enumerate(log):
        if number == restarted_at:
            thinning = Thinning(300, thinning.ranges(begin))
            thinning.on = True
        trained.append((begin, thinning.trains(begin, waiting)))
        begin += length
    replayed = Replayed(thinning.ranges(begin))
    assert [(at, replayed.trains(at)) for at, _ in trained] == trained


def test_the_ranges_that_are_kept_are_bounded_and_the_newest() -> None:
    thinning = Thinning(1)
    thinning.on = True
    for begin in range(4 * MOST_RANGES):
        thinning.trains(begin, 0 if begin % 2 else 100)
    ranges = thinning.ranges(4 * MOST_RANGES)
    assert len(ranges) == MOST_RANGES
    assert ranges[-1].begin == 4 * MOST_RANGES - 2
