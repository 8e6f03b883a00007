"""Records of several topics are taken in order of time, and those of a partition in their own."""

from __future__ import annotations

from streams.intake.merging import Merge
from streams.wire.record import Record

CLICKS, ORDERS = ("clicks", 0), ("orders", 0)


def records(where: tuple[str, int], *times: int) -> list[Record]:
    return [Record(*where, offset, time, None, b"", ()) for offset, time in enumerate(times)]


def merge(**of_topic: tuple[int, ...]) -> Merge:
    made = Merge()
    made.assign([CLICKS, ORDERS])
    for topic, times in of_topic.items():
        made.add((topic, 0), records((topic, 0), *times))
    return made


def taken(made: Merge, most: int = 100, lags: tuple[tuple[str, int], ...] = ()) -> list[tuple[str, int]]:
    return [(record.topic, record.timestamp) for record in made.take(most, lambda where: where in lags)]


def test_the_topics_are_merged_by_time_and_a_partition_keeps_its_order() -> None:
    made = merge(clicks=(1, 5, 3, 9), orders=(2, 4))
    assert taken(made) == [("clicks", 1), ("orders", 2), ("orders", 4), ("clicks", 5), ("clicks", 3), ("clicks", 9)]
    assert not made


def test_no_more_are_taken_than_asked_and_the_rest_follows() -> None:
    made = merge(clicks=(1, 3), orders=(2, 4))
    assert taken(made, most=3) == [("clicks", 1), ("orders", 2), ("clicks", 3)]
    assert taken(made, most=3) == [("orders", 4)]


def test_nothing_passes_the_last_known_record_of_a_partition_that_has_more() -> None:
    made = merge(clicks=(1, 8, 9), orders=(2,))
    assert taken(made, lags=(ORDERS,)) == [("clicks", 1), ("orders", 2)]
    made.add(ORDERS, records(ORDERS, 3))
    assert taken(made) == [("orders", 3), ("clicks", 8), ("clicks", 9)]


def test_an_assignment_drops_what_waits_and_what_comes_late() -> None:
    made = merge(clicks=(1,), orders=(2,))
    made.assign([CLICKS])
    made.add(ORDERS, records(ORDERS, 2))
    assert (len(made), made.below(1)) == (0, [CLICKS])
