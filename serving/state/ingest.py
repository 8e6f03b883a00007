"""Events by HTTP: the worker's own decoding and checks, then Kafka, and only then the answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from serving.http.problems import Problem, RecordError
from serving.state.telemetry import ServingTelemetry
from serving.state.writer import NewRecord, Placed, TooLarge, Writer
from streams.events.decode import BadRecord, EventDecoder, event_key
from streams.events.records import EVENT_TYPES, Event, recommendation_id

REMEMBERED = 10_000
"""Events that are remembered, to know one that comes again."""
_FIELD_OF_REASON = {"unknown_event_type": "event_type", "timestamp_in_future": "timestamp"}
_UNNAMED = "\n"
"""No event id holds a control character, so one that begins so is what the decoder made up."""


class Accepted(NamedTuple):
    """An event that Kafka has. ``position`` is its place in the request; ``repeated`` says that it came before."""

    position: int
    event: Event
    placed: Placed
    repeated: bool

    @property
    def triggers(self) -> bool:
        """Whether a ranking is to be expected of it."""
        return EVENT_TYPES[self.event.event_type].triggers and not self.repeated


class Ingest:
    """Takes events in. ``clock`` is in seconds."""

    def __init__(
        self, topic: str, decoder: EventDecoder, writer: Writer, telemetry: ServingTelemetry,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._topic, self._decoder, self._writer, self._telemetry, self._clock = topic, decoder, writer, telemetry, clock
        self._seen: dict[tuple[str, str | None, str], None] = {}

    async def accept(self, values: Sequence[bytes]) -> tuple[list[Accepted], list[RecordError]]:
        """Check each, write the good ones, and tell of both. Raises `Problem` where Kafka does not confirm."""
        good: list[tuple[int, Event]] = []
        errors: list[RecordError] = []
        now_ms = int(self._clock() * 1000)
        for position, value in enumerate(values):
            try:
                event = self._decoder.decode(None, value, topic=_UNNAMED, partition=0, offset=0, timestamp_ms=now_ms)
            except BadRecord as bad:
                errors.append(record_error(position, bad, Event.__struct_fields__))
                continue
            assert isinstance(event, Event)  # a deletion is a null value, which none of these is
            good.append((position, event))
            if position % 50 == 49:
                await asyncio.sleep(0)  # a full request must not hold up the others
        written = (
            await self._writer.write([NewRecord(self._topic, event_key(event), values[n]) for n, event in good]) if good else []
        )
        accepted: list[Accepted] = []
        for (position, event), placed in zip(good, written, strict=True):
            if isinstance(placed, TooLarge):
                errors.append(RecordError(position, "too_large", detail="larger than the events topic takes"))
                continue
            accepted.append(Accepted(position, event, placed, self._repeated(event)))
            if event.event_id.startswith(_UNNAMED):
                event.event_id = recommendation_id(self._topic, placed.partition, placed.offset)
        self._telemetry.events_accepted.inc(len(accepted))
        for error in errors:
            self._telemetry.events_refused.labels(error.reason).inc()
        errors.sort(key=lambda error: error.position)
        return accepted, errors

    def forget(self, owner: str) -> None:
        """A user was deleted: his events would be new ones."""
        self._seen = {name: None for name in self._seen if name[0] != owner}

    def _repeated(self, event: Event) -> bool:
        """Whether this process took the same event before. The worker decides; this only spares a wait for what does not come."""
        if event.event_id.startswith(_UNNAMED):
            return False
        name = (event_key(event).decode(), event.session_id, event.event_id)
        if name in self._seen:
            return True
        self._seen[name] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False


def record_error(position: int, bad: BadRecord, fields: Sequence[str]) -> RecordError:
    """What is told of a bad record. Its detail names the field, where there is one."""
    words = re.findall(r"\w+", bad.detail)
    named = _FIELD_OF_REASON.get(bad.reason) or next((word for word in words if word in fields), None)
    return RecordError(position, bad.reason, named, bad.detail or None)


def refused(errors: Sequence[RecordError], *, one: bool) -> Problem:
    """The problem of a body with no good record in it. One record that is no JSON makes the body one that cannot be read."""
    if one and errors[0].reason in ("empty", "invalid_json", "not_utf8", "too_deep"):
        return Problem("malformed", errors[0].detail or errors[0].reason, errors=errors)
    return Problem("invalid-record", field=errors[0].field if one else None, errors=errors)
