"""When the worker fetches its next events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine.fetching import SMALL_UNIT, Fetching
from streams.kafka.connection import FetchWaits

EVENTS = {TopicPartition("events", 0), TopicPartition("events", 1)}
CHANGELOG = TopicPartition("sessions-changelog", 0)
WAITS, MOST = FetchWaits(25, 250), 1024


class Consumer:
    """The parts of aiokafka's consumer that pause, resume and wait."""

    def __init__(self) -> None:
        self._fetcher = SimpleNamespace(_fetch_max_wait_ms=WAITS.short_ms)
        self._paused: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return EVENTS | {CHANGELOG}

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused.difference_update(partitions)


@pytest.fixture
def consumer() -> Any:
    return Consumer()


def test_nothing_is_fetched_while_a_small_unit_is_in_flight(consumer: Any) -> None:
    fetching = Fetching(consumer, WAITS)
    fetching.polled(3, MOST)
    assert consumer.paused() == consumer.assignment(), "a fetch of any topic would be ahead of the next one of the events"
    fetching.resume()
    assert consumer.paused() == set()


@pytest.mark.parametrize(("events", "most"), [(SMALL_UNIT, MOST), (10, 10)], ids=["a large one", "as large as allowed"])
def test_a_large_unit_shows_a_backlog_so_the_next_one_is_fetched_ahead(consumer: Any, events: int, most: int) -> None:
    Fetching(consumer, WAITS).polled(events, most)
    assert consumer.paused() == set()


def test_a_poll_without_events_leaves_the_fetch_that_waits(consumer: Any) -> None:
    Fetching(consumer, WAITS).polled(0, MOST)
    assert consumer.paused() == set()


def test_in_a_backlog_a_fetch_waits_less(consumer: Any) -> None:
    """Otherwise a partition without events would delay those that have a backlog."""
    fetching = Fetching(consumer, WAITS)
    fetching.polled(1, MOST)
    assert consumer._fetcher._fetch_max_wait_ms == WAITS.long_ms
    fetching.polled(SMALL_UNIT, MOST)
    assert consumer._fetcher._fetch_max_wait_ms == WAITS.short_ms


def test_in_recovery_a_fetch_waits_less_and_nothing_is_paused(consumer: Any) -> None:
    """The broker answers in order, so a waiting fetch delays requests for positions and ends."""
    fetching = Fetching(consumer, WAITS)
    fetching.polled(3, MOST)
    fetching.resume_briefly()
    assert consumer._fetcher._fetch_max_wait_ms == WAITS.short_ms
    assert consumer.paused() == set()
