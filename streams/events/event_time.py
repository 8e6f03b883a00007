"""What a number or a text means as a time, for live events, items and files alike. Pure.

A number without a unit is read by its size, so that each unit covers the years that occur:

| number                     | read as                    | covers        |
|----------------------------|----------------------------|---------------|
| 19000101 to 21001231, if   | a date: YYYYMMDD           | 1900 to 2100  |
| 14 digits of that kind, if | a time: YYYYMMDDHHMMSS     | 1900 to 2100  |
| below 1e11                 | seconds                    | until 5138    |
| below 1e15                 | milliseconds               | 1973 to 33658 |
| below 1e17                 | microseconds               | 2001 to 5138  |
| below 1e20                 | nanoseconds                | 1973 to 5138  |

"If" means that the digits are a valid date. `TimeRule` names a unit or a format for data that this
table does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from streams.events.bounds import BadRecord, kind_of

SUSPICIOUS_BEFORE = 946_684_800_000
"""The year 2000 in epoch ms. An earlier time is more likely a relative clock or a counter."""
LATEST = 10**20
"""Every number must be below this one."""
MAX_TEXT = 64
"""Maximum number of characters of a time."""
AUTO = "auto"
PER_UNIT: dict[str, tuple[int, int]] = {
    "s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000), "days": (86_400_000, 1),
}  # fmt: skip
"""For each unit that can be named, the numerator and denominator of its milliseconds."""
_SECONDS_BELOW, _MILLISECONDS_BELOW, _MICROSECONDS_BELOW = 10**11, 10**15, 10**17
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_CALENDAR = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{6})?")
_ISO = re.compile(r"[0-9]{4}-?(?:[0-9]{2}|W)")
_YEAR_FIRST = re.compile(r"([0-9]{4})([/.])([0-9]{1,2})\2([0-9]{1,2})(?![0-9])")
"""A date such as 2026/11/30 or 2026.11.3. Its order is clear, because the year comes first."""
_RFC_2822 = re.compile(r"(?:[A-Za-z]{3},\s*)?[0-9]{1,2} [A-Za-z]{3} [0-9]{4} [0-9]{2}:[0-9]{2}")
_UTC = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_OFFSET = re.compile(r"\s*([+-][0-9]{2}:?[0-9]{2})(?:\s+[A-Z]{2,5})?$")


class UnknownForm(BadRecord):
    """A text is not a time of the form that was expected, or of any known form."""


class TimeRule(NamedTuple):
    """How to read times that name no unit or have a format of their own.

    ``unit`` is one of `PER_UNIT`, or `AUTO` for the table of this module. ``format`` is one of
    `datetime.strptime`; without a zone in it, the time is in UTC.
    """

    unit: str = AUTO
    format: str | None = None


def time_rule(unit: str, form: str | None) -> TimeRule:
    """Return the rule. Raises ``ValueError`` if Python cannot read times of this form."""
    if form is not None:
        try:
            datetime.strptime(datetime.now(UTC).strftime(form), form)
        except (ValueError, re.error) as error:  # a directive that occurs twice is an error of `re`
            raise ValueError(f"time_format: Python's strptime reads no times of the form {form!r}: {error}") from error
    return TimeRule(unit, form)


class Moment(NamedTuple):
    """A time in epoch ms, and the form in which it was written: one of `FORMS`."""

    ms: int
    form: str


FORMS = ("days", "s", "ms", "us", "ns", "date", "text", "kafka")
"""``date`` is a number of calendar digits; ``kafka`` is the record's own time, for lack of one."""
BY_SIZE, IN_MS = TimeRule(), TimeRule("ms")


def event_time(value: object, kafka_time: int) -> int:
    """Return a time in epoch ms: see `moment_of`."""
    return moment_of(value, kafka_time).ms


def moment_of(value: object, kafka_time: int, rule: TimeRule = BY_SIZE) -> Moment:
    """Return the time that a value of an event means. Raises `BadRecord`.

    ``None`` means ``kafka_time``, the record's own in epoch ms; -1 is the lack of one. A decoder
    may return a ``datetime``.
    """
    if type(value) is int and _SECONDS_BELOW <= value < _MILLISECONDS_BELOW and rule == BY_SIZE and value < 19 * 10**12:
        return Moment(value, "ms")
    if value is None:
        if kafka_time < 0:
            raise BadRecord("missing_field", "timestamp, and the record has no Kafka time")
        return Moment(kafka_time, "kafka")
    if isinstance(value, str):
        return _of_text(value.strip(), rule)
    if isinstance(value, datetime):  # from a user's decoder, which may read Avro's logical types
        return _of_datetime(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"timestamp is {kind_of(value)}: write an epoch time, ISO 8601 or RFC 2822")
    return _of_number(value, rule)


def suspicious(ms: int) -> bool:
    """Whether a time is so early that it is probably not one."""
    return ms < SUSPICIOUS_BEFORE


def _of_number(value: float, rule: TimeRule) -> Moment:
    if not 0 <= value < LATEST:  # also true of NaN
        raise BadRecord("out_of_bounds", "timestamp is negative" if value < 0 else f"timestamp is not below {LATEST:g}")
    if rule.format is not None and isinstance(value, int):
        return _of_text(str(value), rule)
    if rule.unit != AUTO:
        return _in_unit(value, rule.unit)
    if isinstance(value, int) and (calendar := _of_calendar(str(value))) is not None:
        return calendar
    if value < _SECONDS_BELOW:
        return _in_unit(value, "s")
    if value < _MILLISECONDS_BELOW:
        return _in_unit(value, "ms")
    return _in_unit(value, "us" if value < _MICROSECONDS_BELOW else "ns")


def _in_unit(value: float, unit: str) -> Moment:
    times, per = PER_UNIT[unit]
    if isinstance(value, int) or per > 1:
        return _bounded(int(value) * times // per, unit)
    return _bounded(round(value * times), unit)


def _of_calendar(digits: str) -> Moment | None:
    """The time of the digits YYYYMMDD or YYYYMMDDHHMMSS; ``None`` if they are not such a time."""
    if _CALENDAR.fullmatch(digits) is None:
        return None
    try:
        moment = datetime.strptime(digits, "%Y%m%d" if len(digits) == 8 else "%Y%m%d%H%M%S")
    except ValueError:
        return None
    ms = _epoch_ms(moment)
    return Moment(ms, "date") if ms >= 0 else None


def _of_text(text: str, rule: TimeRule) -> Moment:
    if len(text) > MAX_TEXT:
        raise BadRecord("out_of_bounds", f"timestamp has {len(text)} characters, at most {MAX_TEXT}")
    if rule.format is not None:
        return _parsed(text, lambda: datetime.strptime(text, rule.format or ""), f"of the form {rule.format}")
    if _NUMBER.fullmatch(text):
        return _of_number(float(text) if "." in text else int(text), rule)
    if date := _YEAR_FIRST.match(text):
        iso = f"{date[1]}-{date[3]:0>2}-{date[4]:0>2}{text[date.end() :]}"
        return _parsed(text, lambda: datetime.fromisoformat(_iso(iso)), "a valid time")
    if _ISO.match(text):
        return _parsed(text, lambda: datetime.fromisoformat(_iso(text)), "a valid time")
    if _RFC_2822.match(text):
        return _parsed(text, lambda: parsedate_to_datetime(text), "a valid time")
    raise UnknownForm("wrong_type", f"timestamp is {text!r}, which is neither an epoch time, ISO 8601 nor RFC 2822")


def _iso(text: str) -> str:
    """Write the zone as ISO 8601 does. Before it there may be a blank, after it a name of the zone.

    Go writes "+0200 CEST" and "+0000 UTC", the files of REES46 have " UTC" only.
    """
    offset = _OFFSET.search(text, 10)  # the first ten characters are the date, which has hyphens, too
    return text[: offset.start()] + offset[1] if offset else _UTC.sub("+00:00", text)


def _parsed(text: str, parse: Callable[[], datetime], right: str) -> Moment:
    try:
        return _of_datetime(parse())
    except (ValueError, TypeError, IndexError, OverflowError):
        raise UnknownForm("out_of_bounds", f"timestamp is {text!r}, which is not {right}") from None


def _of_datetime(moment: datetime) -> Moment:
    return _bounded(_epoch_ms(moment), "text")


def _epoch_ms(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _bounded(ms: int, form: str) -> Moment:
    if not 0 <= ms < LATEST:
        raise BadRecord("out_of_bounds", "timestamp is before 1970" if ms < 0 else "timestamp is too late")
    return Moment(ms, form)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
