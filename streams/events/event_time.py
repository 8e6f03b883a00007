"""Reads event time as users send it: an epoch number of any unit, ISO 8601, or nothing. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from streams.events.bounds import BadRecord

SECONDS_BELOW = 100_000_000_000
"""A smaller number is in seconds: as milliseconds it would lie before March 1973."""
MICROSECONDS_FROM = 1_000_000_000_000_000
"""A number from here on is in microseconds, from September 2001.

With a smaller bound, year 9999 in milliseconds would be read as 1978.
"""
LATEST = 10**18
"""Every number must be below this one."""
_ISO_START = re.compile(r"[0-9]{4}-[0-9]{2}")
_EPOCH = re.compile(r"[0-9]{9,19}(\.[0-9]{1,9})?")


def event_time(value: object, kafka_time: int) -> int:
    """Return the time in epoch ms. Raises `BadRecord`.

    A number is in seconds below 1e11, in microseconds from 1e15, and in milliseconds between. A
    text of 9 or more digits is such a number; fewer digits could be a date without hyphens. Any
    other text is ISO 8601, in UTC if it names no zone. ``None`` means the record's Kafka time.
    """
    if type(value) is int and SECONDS_BELOW <= value < MICROSECONDS_FROM:
        return value
    if value is None:
        if kafka_time < 0:
            raise BadRecord("missing_field", "timestamp, and the record has no Kafka time")
        return kafka_time
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, datetime):  # from a user's decoder, which may read Avro's logical types
        return _from_moment(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"timestamp is {type(value).__name__}")
    if not 0 <= value < LATEST:  # also true of NaN
        raise BadRecord("out_of_bounds", "timestamp is negative" if value < 0 else f"timestamp is not below {LATEST:g}")
    if value >= MICROSECONDS_FROM:
        return int(value // 1000)
    return round(value * 1000) if value < SECONDS_BELOW else int(value)


def _from_text(text: str) -> float | int | datetime:
    if _EPOCH.fullmatch(text):
        return float(text) if "." in text else int(text)
    if not _ISO_START.match(text):
        raise BadRecord("wrong_type", "timestamp is neither an epoch number nor ISO 8601")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadRecord("out_of_bounds", f"timestamp is {text[:40]}, which is not a valid time") from None


def _from_moment(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    milliseconds = round(aware.timestamp() * 1000)
    if milliseconds < 0:
        raise BadRecord("out_of_bounds", "timestamp is before 1970")
    return milliseconds
