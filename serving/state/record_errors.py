"""Why a record of a request was rejected. Pure of HTTP and Kafka."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from streams.events.bounds import BadRecord

_FIELD_OF_REASON = {"unknown_event_type": "event_type", "timestamp_in_future": "timestamp"}


class RecordError(msgspec.Struct, omit_defaults=True):
    """Why one record of a request was rejected.

    ``position`` counts the records of the request from 0. ``reason`` is the one under which a
    worker would publish the record as a dead letter. ``field`` is the field at fault, where it is
    known; ``detail`` says more, for people.
    """

    position: int
    reason: str
    field: str | None = None
    detail: str | None = None


def record_error(position: int, bad: BadRecord, fields: Sequence[str]) -> RecordError:
    """Describe a record that did not decode. Its detail may name one of ``fields``."""
    words = re.findall(r"\w+", bad.detail)
    field = _FIELD_OF_REASON.get(bad.reason) or next((word for word in words if word in fields), None)
    return RecordError(position, bad.reason, field, bad.detail or None)
