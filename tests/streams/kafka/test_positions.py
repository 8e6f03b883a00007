"""Records that were removed from the beginning of a log before they were read."""

from __future__ import annotations

from streams.kafka.positions import RemovedUnread

A, B = ("events", 0), ("events", 1)


def test_each_removed_record_is_reported_once() -> None:
    removed = RemovedUnread[tuple[str, int]]()
    assert removed.new({A: 10, B: 5}, {A: 40, B: 5}) == {A: range(10, 40)}
    assert removed.new({A: 10, B: 5}, {A: 40, B: 5}) == {}, "the same position after another rebalance"
    assert removed.new({A: 10, B: 5}, {A: 50, B: 7}) == {A: range(40, 50), B: range(5, 7)}
    assert removed.new({A: 60}, {A: 55}) == {}


def test_a_partition_that_was_never_read_misses_nothing() -> None:
    assert RemovedUnread[tuple[str, int]]().new({A: 0}, {A: 40}) == {}


def test_a_log_of_unknown_beginning_has_lost_nothing() -> None:
    assert RemovedUnread[tuple[str, int]]().new({A: 10, B: 10}, {A: None}) == {}
