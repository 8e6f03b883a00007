"""When the page may say that the workers are down."""

from __future__ import annotations

import pytest

from serving.state.worker_health import RECENT_S, STALLED_S, WorkerHealth


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_worker_that_does_not_answer_is_down_until_one_answers(clock: Clock) -> None:
    health = WorkerHealth(True, clock)
    assert health.down is None, "nothing was requested yet"
    health.scraped(0, 0, None, None)
    assert health.down is True
    health.scraped(1, 0, 0, None)
    assert health.down is True, "it answers, and is not ready"
    health.scraped(1, 1, 0, 0)
    assert health.down is False


def test_an_address_by_default_counts_from_the_first_answer_on(clock: Clock) -> None:
    health = WorkerHealth(False, clock)
    health.scraped(0, 0, None, None)
    assert health.down is None, "there may be workers elsewhere"
    health.scraped(1, 1, 5, 0)
    health.scraped(0, 0, None, None)
    assert health.down is True


def test_a_worker_that_publishes_is_at_work_even_if_a_scrape_fails(clock: Clock) -> None:
    health = WorkerHealth(True, clock)
    health.scraped(0, 0, None, None)
    health.ranked()
    assert health.down is False
    clock.now += RECENT_S
    assert health.down is True


def test_a_worker_that_answers_and_processes_nothing_is_down_after_three_seconds(clock: Clock) -> None:
    health = WorkerHealth(True, clock)
    health.scraped(1, 1, 7, 0)
    health.arrived()
    for _ in range(2):
        clock.now += STALLED_S / 2
        health.arrived()
        health.scraped(1, 1, 7, 4)
    assert health.down is True
    health.scraped(1, 1, 8, 3)
    assert health.down is False, "it processes again"
    clock.now += STALLED_S
    assert health.down is False, "nothing arrived since"


def test_a_ranking_and_an_empty_lag_are_progress(clock: Clock) -> None:
    health = WorkerHealth(True, clock)
    health.scraped(1, 1, 7, 0)
    for happens in (health.ranked, lambda: health.scraped(1, 1, 7, 0)):
        health.arrived()
        happens()
        clock.now += STALLED_S + RECENT_S
        assert health.down is False
