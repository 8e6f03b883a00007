"""Decodes one record of `events` as a worker does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from streams.events.decode import Decoded, EventDecoder
from streams.events.records import Event

NOW = 1_800_000_000_000  # the Kafka time of every record


def decode(value: bytes | None, decoder: EventDecoder | None = None, key: bytes | None = b"k") -> Decoded:
    return (decoder or EventDecoder()).decode(key, value, topic="t", partition=2, offset=7, timestamp_ms=NOW)


def events(decoder: EventDecoder | None = None, **fields: Any) -> Sequence[Event]:
    """The events of a record with ``fields``."""
    return decode(json.dumps(fields).encode(), decoder).events


def event(decoder: EventDecoder | None = None, **fields: Any) -> Event:
    """The only event of a record with ``fields``."""
    (only,) = events(decoder, **fields)
    return only
