"""Event time from what users send: epoch numbers of several units, ISO 8601, or nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from streams.events.bounds import BadRecord

SECONDS_BELOW = 100_000_000_000
MICROSECONDS_FROM = 1_000_000_000_000_000
LATEST = 10**18
_ISO_START = re.compile(r"[0-9]{4}-[0-9]{2}")
_EPOCH = re.compile(r"[0-9]{9,19}(\.[0-9]{1,9})?")


def event_time(value: Any, kafka_time: int) -> int:
    """Epoch ms.

    A number below 1e11 is seconds (as milliseconds it would lie before March 1973), one from 1e15 microseconds (from September
    2001 on; were they to begin lower, year 9999 in milliseconds would pass for 1978), between them milliseconds. A text of
    digits (9 or more; a date without hyphens is none) is such a number, any other is ISO 8601, in UTC where it names no zone.
    ``None`` is the record's Kafka time. Raises `BadRecord`.
    """
    if type(value) is int and SECONDS_BELOW <= value < MICROSECONDS_FROM:
        return value
    if value is None:
        if kafka_time < 0:
            raise BadRecord("missing_field", "timestamp, and the record has no Kafka time")
        return kafka_time
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, datetime):  # Avro's logical types come so from a decoder
        return _from_moment(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"timestamp is {type(value).__name__}")
    if not 0 <= value < LATEST:  # not a number is in no range
        raise BadRecord("out_of_bounds", "timestamp is negative" if value < 0 else "timestamp is beyond all time")
    if value >= MICROSECONDS_FROM:
        return int(value // 1000)
    return round(value * 1000) if value < SECONDS_BELOW else int(value)


def _from_text(text: str) -> float | int | datetime:
    if _EPOCH.fullmatch(text):
        return float(text) if "." in text else int(text)
    if not _ISO_START.match(text):
        raise BadRecord("wrong_type", "timestamp is no ISO 8601 text")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadRecord("out_of_bounds", f"timestamp is {text[:40]}") from None


def _from_moment(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    milliseconds = round(aware.timestamp() * 1000)
    if milliseconds < 0:
        raise BadRecord("out_of_bounds", "timestamp is before 1970")
    return milliseconds
