"""One rule of time for events, items and files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.events.bounds import BadRecord
from streams.events.event_time import FORMS, TimeRule, event_time, moment_of, suspicious

MS = 1_569_888_500_123


@pytest.mark.parametrize(
    ("written", "ms", "form"),
    [
        (1_569_888_500, MS - 123, "s"),
        (1_569_888_500.123, MS, "s"),
        (MS, MS, "ms"),
        (MS * 1000, MS, "us"),
        (MS * 1_000_000, MS, "ns"),
        (str(MS), MS, "ms"),
        (str(MS * 1000), MS, "us"),
        ("1569888500.123", MS, "s"),
        (20_191_001, 1_569_888_000_000, "date"),
        ("20191001", 1_569_888_000_000, "date"),
        (20_191_001_000_820, MS - 123, "date"),
        ("20191001000820", MS - 123, "date"),
        ("2019-10-01", 1_569_888_000_000, "text"),
        ("2019-10-01 00:08:20 UTC", MS - 123, "text"),
        ("2019-10-01 00:08:20.123 UTC", MS, "text"),
        ("2019-10-01 00:08:20 +0000 UTC", MS - 123, "text"),
        ("2019-10-01 02:08:20 +0200 CEST", MS - 123, "text"),
        ("2019-10-01 02:08:20.123456789 +02:00", MS, "text"),
        ("2019-10-01T00:08:20Z", MS - 123, "text"),
        ("2019-10-01T00:08:20,123Z", MS, "text"),
        ("2019-10-01t00:08:20z", MS - 123, "text"),
        ("20191001T000820Z", MS - 123, "text"),
        ("20191001T020820+0200", MS - 123, "text"),
        ("  2019-10-01T00:08:20Z \n", MS - 123, "text"),
        ("Tue, 01 Oct 2019 00:08:20 GMT", MS - 123, "text"),
        ("Tue, 01 Oct 2019 02:08:20 +0200", MS - 123, "text"),
        ("1 Oct 2019 00:08:20 -0000", MS - 123, "text"),
        ("2019/10/01 00:08:20", MS - 123, "text"),
        ("2019/10/01T00:08:20.123Z", MS, "text"),
        ("2019/10/1 02:08:20 +0200", MS - 123, "text"),
        ("2019/10/01", 1_569_888_000_000, "text"),
        ("2019.10.01 00:08:20", MS - 123, "text"),
        ("2019-W40-2T00:08:20Z", MS - 123, "text"),
        ("2019W402", 1_569_888_000_000, "text"),
        ("2019-10-01 00:08:20.123456 UTC", MS, "text"),
        ("2019-10-01T02:08:20+02", MS - 123, "text"),
        ("1569888500.1230000000", MS, "s"),
        (datetime(2019, 10, 1, 0, 8, 20, 123_000), MS, "text"),
    ],
)
def test_a_time_is_read_however_it_is_written(written: object, ms: int, form: str) -> None:
    assert moment_of(written, 0) == (ms, form)
    assert form in FORMS


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (True, "wrong_type"),
        ([], "wrong_type"),
        ("", "wrong_type"),
        ("yesterday", "wrong_type"),
        ("01/10/2019 00:08", "wrong_type"),
        ("10-01-2019", "wrong_type"),
        ("01.10.2019", "wrong_type"),
        ("30.11.2026", "wrong_type"),
        ("2019/10", "wrong_type"),
        ("2019/1/012", "wrong_type"),
        ("2019-W60-1", "out_of_bounds"),
        ("1.5698885e9", "wrong_type"),
        ("-1569888500", "wrong_type"),
        ("1,569,888,500", "wrong_type"),
        ("00:08:20", "wrong_type"),
        ("2019-10-01 08:20 PM", "out_of_bounds"),
        ("2019-10-01 00:08:20 CET", "out_of_bounds"),
        ("01/Oct/2019:00:08:20 +0000", "wrong_type"),
        ("Tue Oct 01 2019 00:08:20 GMT+0000", "wrong_type"),
        ("NaN", "wrong_type"),
        ("2019-13-01", "out_of_bounds"),
        ("2019-10-01T25:00:00Z", "out_of_bounds"),
        ("Tue, 41 Oct 2019 00:08:20 GMT", "out_of_bounds"),
        (-1, "out_of_bounds"),
        (10**20, "out_of_bounds"),
        (float("nan"), "out_of_bounds"),
        (float("inf"), "out_of_bounds"),
        ("9" * 65, "out_of_bounds"),
        ("1969-12-31T23:59:59Z", "out_of_bounds"),
    ],
)
def test_what_is_not_a_time_is_rejected_with_the_reason(written: object, reason: str) -> None:
    with pytest.raises(BadRecord) as bad:
        event_time(written, 0)
    assert bad.value.reason == reason


def test_digits_that_are_not_a_date_are_an_epoch_time() -> None:
    assert moment_of(20_191_332, 0) == (20_191_332_000, "s")
    assert moment_of(20_191_332_000_000, 0) == (20_191_332_000_000, "ms")


def test_no_time_is_the_records_own() -> None:
    assert moment_of(None, MS) == (MS, "kafka")
    with pytest.raises(BadRecord, match="the record has no Kafka time"):
        moment_of(None, -1)


@pytest.mark.parametrize("written", [0, 1, 449, "449", 20_786, "1999-12-31"])
def test_a_time_before_2000_is_suspicious(written: object) -> None:
    assert suspicious(event_time(written, 0))
    assert not suspicious(MS)


@pytest.mark.parametrize(
    ("unit", "value", "ms"),
    [("s", 449, 449_000), ("ms", 449, 449), ("us", 449_000, 449), ("ns", 449_000_000, 449), ("days", 18_170, 1_569_888_000_000)],
)
def test_a_named_unit_wins_over_the_size_of_a_number(unit: str, value: int, ms: int) -> None:
    rule = TimeRule(unit)
    assert moment_of(value, 0, rule) == moment_of(str(value), 0, rule) == (ms, unit)
    assert event_time("2019-10-01T00:08:20Z", 0) == moment_of("2019-10-01T00:08:20Z", 0, rule).ms


def test_a_named_format_is_the_only_one() -> None:
    rule = TimeRule(format="%d/%m/%Y %H:%M")
    assert moment_of("01/10/2019 00:08", 0, rule).ms == 1_569_888_480_000
    with pytest.raises(BadRecord, match="not of the form"):
        moment_of("2019-10-01T00:08:20Z", 0, rule)
    assert moment_of(191_001, 0, TimeRule(format="%y%m%d")).ms == 1_569_888_000_000


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=offsets))
def test_a_moment_is_the_same_in_every_form(moment: datetime) -> None:
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    iso = moment.isoformat()
    for written in (iso, iso.replace("T", " "), f"{iso[:-6]} {iso[-6:]}", moment):
        assert event_time(written, 0) == ms
    assert event_time(format_datetime(moment), 0) == ms // 1000 * 1000


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.lists(st.integers()))
def test_whatever_is_written_is_a_time_or_rejected(written: object) -> None:
    for rule in (TimeRule(), TimeRule("days"), TimeRule("s"), TimeRule(format="%Y")):
        try:
            moment = moment_of(written, 5, rule)
        except BadRecord as bad:
            assert "timestamp" in bad.detail  # noqa: PT017  other results are checked below
        else:
            assert moment.ms >= 0
            assert moment.form in FORMS
