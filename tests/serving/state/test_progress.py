"""When the page may say that the workers are down."""

from __future__ import annotations

import pytest

from serving.state.progress import RECENT_S, STALLED_S, Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_worker_that_does_not_answer_is_down_until_one_answers(clock: Clock) -> None:
    progress = Progress(True, clock)
    assert progress.down is None, "nothing was requested yet"
    progress.scraped(0, 0, None, None)
    assert progress.down is True
    progress.scraped(1, 0, 0, None)
    assert progress.down is True, "it answers, and is not ready"
    progress.scraped(1, 1, 0, 0)
    assert progress.down is False


def test_an_address_by_default_counts_from_the_first_answer_on(clock: Clock) -> None:
    progress = Progress(False, clock)
    progress.scraped(0, 0, None, None)
    assert progress.down is None, "there may be workers elsewhere"
    progress.scraped(1, 1, 5, 0)
    progress.scraped(0, 0, None, None)
    assert progress.down is True


def test_a_worker_that_publishes_is_at_work_even_if_a_scrape_fails(clock: Clock) -> None:
    progress = Progress(True, clock)
    progress.scraped(0, 0, None, None)
    progress.ranked()
    assert progress.down is False
    clock.now += RECENT_S
    assert progress.down is True


def test_a_worker_that_answers_and_processes_nothing_is_down_after_three_seconds(clock: Clock) -> None:
    progress = Progress(True, clock)
    progress.scraped(1, 1, 7, 0)
    progress.arrived()
    for _ in range(2):
        clock.now += STALLED_S / 2
        progress.arrived()
        progress.scraped(1, 1, 7, 4)
    assert progress.down is True
    progress.scraped(1, 1, 8, 3)
    assert progress.down is False, "it processes again"
    clock.now += STALLED_S
    assert progress.down is False, "nothing arrived since"


def test_a_ranking_and_an_empty_lag_are_progress(clock: Clock) -> None:
    progress = Progress(True, clock)
    progress.scraped(1, 1, 7, 0)
    for happens in (progress.ranked, lambda: progress.scraped(1, 1, 7, 0)):
        progress.arrived()
        happens()
        clock.now += STALLED_S + RECENT_S
        assert progress.down is False
