"""Decodes and checks the events of requests as a worker does, and writes them to Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from serving.state.record_errors import RecordError, record_error
from serving.state.telemetry import ServingTelemetry
from serving.state.turns import Turns
from serving.state.writer import NewRecord, TooLarge, Writer, Written
from streams.events.bounds import MAX_ID_BYTES
from streams.events.decode import BadRecord, EventDecoder, event_key
from streams.events.notes import Kind
from streams.events.records import EVENT_TYPES, Event, recommendation_id

REMEMBERED = 10_000
"""How many event ids are remembered, to recognise an event that is sent again."""
IDS = frozenset(name for name in Event.__struct_fields__ if name.endswith("_id"))
_UNNAMED = "\n"
"""Prefix of the ids that the decoder makes for events without one.

It is a control character, which no id of a client may contain.
"""


class Accepted(NamedTuple):
    """An event that Kafka has confirmed. ``position`` counts the records of the request from 0."""

    position: int
    event: Event
    written: Written
    repeated: bool
    """Whether this process accepted the same event before."""

    @property
    def triggers(self) -> bool:
        """Whether a worker will publish a ranking for it."""
        return EVENT_TYPES[self.event.event_type].triggers and not self.repeated


class Ingest:
    """Checks events and writes them to the events topic. ``clock`` is in seconds."""

    def __init__(
        self, topic: str, decoder: EventDecoder, writer: Writer, telemetry: ServingTelemetry, turns: Turns,
        clock: Callable[[], float] = time.time, remember: int = REMEMBERED,
    ) -> None:  # fmt: skip
        self._topic, self._decoder, self._writer, self._telemetry, self._clock = topic, decoder, writer, telemetry, clock
        self._turns = turns
        self._seen: dict[tuple[str, str | None, str], None] = {}
        self._remember = remember

    @property
    def remembered(self) -> int:
        """How many event ids are remembered; never more than ``remember``."""
        return len(self._seen)

    async def accept(self, values: Sequence[bytes]) -> tuple[list[Accepted], list[RecordError]]:
        """Check each value and write the valid events. Return the events and the errors.

        Both are in the order of the request. Raises `NotConfirmed` if Kafka does not confirm the
        events, and `TooManyPending` if too many records wait for Kafka.
        """
        good: list[tuple[int, Event]] = []
        errors: list[RecordError] = []
        now_ms = int(self._clock() * 1000)
        for position, value in enumerate(values):
            await self._turns.pause_at(position)
            try:
                event = self._decoded(value, now_ms)
            except BadRecord as bad:
                errors.append(record_error(position, bad, Event.__struct_fields__))
                continue
            good.append((position, event))
        results = (
            await self._writer.write([NewRecord(self._topic, event_key(event), values[n]) for n, event in good]) if good else []
        )
        accepted: list[Accepted] = []
        for (position, event), written in zip(good, results, strict=True):
            if isinstance(written, TooLarge):
                errors.append(
                    RecordError(
                        position,
                        "too_large",
                        detail="larger than the events topic allows (max.message.bytes)",
                    )
                )
                continue
            accepted.append(Accepted(position, event, written, self._repeated(event)))
            if event.event_id.startswith(_UNNAMED):
                event.event_id = recommendation_id(self._topic, written.partition, written.offset)
        self._telemetry.events_accepted.inc(len(accepted))
        for error in errors:
            self._telemetry.events_refused.labels(error.reason).inc()
        errors.sort(key=lambda error: error.position)
        return accepted, errors

    def _decoded(self, value: bytes, now_ms: int) -> Event:
        """Return the last event of a record, which triggers its ranking.

        A client can correct what it sends, so no field is left out here. Raises `BadRecord`.
        """
        decoded = self._decoder.decode(None, value, topic=_UNNAMED, partition=0, offset=0, timestamp_ms=now_ms)
        if decoded.bad is not None:
            raise decoded.bad
        for kind, field in decoded.notes:
            if kind is Kind.DROPPED:
                allowed = f" (it may have 1 to {MAX_ID_BYTES} bytes of UTF-8)" if field in IDS else ""
                raise BadRecord("wrong_type", f"{field} cannot be read{allowed}: correct it or leave it out")
        if not decoded.events:
            settings = "OUZEL_EVENT_TYPES, OUZEL_FIELD_FILTER, OUZEL_DECODER"
            raise BadRecord("unknown_event_type", f"events like this one are ignored ({settings})")
        return decoded.events[-1]

    def forget(self, owner: str) -> None:
        """Forget the event ids of a deleted user: for the workers, these events would be new."""
        self._seen = {name: None for name in self._seen if name[0] != owner}

    def _repeated(self, event: Event) -> bool:
        """Tell whether this process accepted the same event before, and remember it.

        The event is written in any case, because the worker decides. A repeat triggers no ranking,
        so the request need not wait for one.
        """
        if event.event_id.startswith(_UNNAMED):
            return False
        name = (event_key(event).decode(), event.session_id, event.event_id)
        if name in self._seen:
            return True
        self._seen[name] = None
        if len(self._seen) > self._remember:
            del self._seen[next(iter(self._seen))]
        return False
