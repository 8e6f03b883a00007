"""Why a record of a request was rejected. Pure of HTTP and Kafka."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.events.bounds import BadRecord

_FIELD_OF_REASON = {"unknown_event_type": "event_type", "timestamp_in_future": "timestamp"}


class RecordError(msgspec.Struct, omit_defaults=True):
    """Why one record of a request was rejected."""

    position: Annotated[int, Meta(description="The position of the record in the request, from 0.")]
    reason: Annotated[str, Meta(description="A code, as in the headers of dead letters: for example `missing_field`.")]
    field: Annotated[str | None, Meta(description="The invalid field, if it is known.")] = None
    detail: Annotated[str | None, Meta(description="What is wrong, for people.")] = None


def record_error(position: int, bad: BadRecord, fields: Sequence[str]) -> RecordError:
    """Describe why a record was rejected. ``fields`` are the names that its detail may contain."""
    words = re.findall(r"\w+", bad.detail)
    field = _FIELD_OF_REASON.get(bad.reason) or next((word for word in words if word in fields), None)
    return RecordError(position, bad.reason, field, bad.detail or None)
