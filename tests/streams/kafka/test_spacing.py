"""The spacing of reads: a busy log is read now and then, a quiet one without delay."""

from __future__ import annotations

import pytest

from streams.kafka.spacing import Spacing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("records", "reached_end", "rests"),
    [(3, True, True), (0, True, False), (3, False, False)],
    ids=["it read the last records", "it found nothing", "it left records behind"],
)
def test_a_reader_rests_only_when_it_has_read_the_last_records(records: int, reached_end: bool, rests: bool) -> None:
    spacing = Spacing(0.05, Clock())
    assert spacing.has_read(records, reached_end=reached_end) == rests
    assert spacing.rest_left_s == pytest.approx(0.05 if rests else 0.0)


def test_a_rest_counts_from_the_read() -> None:
    spacing = Spacing(0.05, clock := Clock())
    spacing.has_read(1, reached_end=True)
    clock.now += 0.02
    assert spacing.rest_left_s == pytest.approx(0.03)
    clock.now += 1.0
    assert spacing.rest_left_s == 0.0


def test_the_first_read_begins_at_once_and_a_spacing_without_a_rest_never_waits() -> None:
    assert Spacing(0.05, Clock()).rest_left_s == 0.0
    spacing = Spacing(0.0, Clock())
    assert not spacing.has_read(1, reached_end=True)
    assert spacing.rest_left_s == 0.0
