"""The age of the oldest event that is not committed."""

from __future__ import annotations

from streams.engine.oldest import Oldest


def test_the_oldest_unit_is_the_first_that_is_not_wholly_committed() -> None:
    oldest = Oldest()
    oldest.handed_out(0, 9, 1000)
    oldest.handed_out(0, 19, 2000)
    oldest.handed_out(1, 4, 500)
    assert (oldest.kafka_time(0, 0), oldest.kafka_time(1, 0)) == (1000, 500)
    assert oldest.kafka_time(0, 9) == 1000, "offset 9 itself is not committed"
    assert oldest.kafka_time(0, 10) == 2000
    assert (oldest.kafka_time(0, 20), oldest.kafka_time(2, 0)) == (None, None)


def test_a_seek_forgets_every_unit_and_a_revocation_those_of_its_partitions() -> None:
    oldest = Oldest()
    for partition in (0, 1):
        oldest.handed_out(partition, 9, 1000)
    oldest.forget({0, 5})
    assert (oldest.kafka_time(0, 0), oldest.kafka_time(1, 0)) == (None, 1000)
    oldest.reset()
    assert oldest.kafka_time(1, 0) is None
