"""Decode raw bytes to events or a `Deletion`, or raise `BadRecord` with the reason.

No other error is raised, whatever the bytes are. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from streams.events.aliases import Fields, Path, canonical, parts
from streams.events.bounds import MAX_EVENTS, REASONS, BadRecord, JsonObject, check_stored_owner
from streams.events.checks import Checks
from streams.events.event_time import BY_SIZE, IN_MS, TimeRule
from streams.events.event_types import EventTypes
from streams.events.hook import Context, Hook, UserDecoder, describe
from streams.events.json_bytes import events_in
from streams.events.mapped import MappedFields, filter_of, passes
from streams.events.notes import NO_NOTES, Note
from streams.events.records import Event
from streams.wire.record import KafkaRecord

__all__ = ["REASONS", "BadRecord", "Decoded", "Deletion", "EventDecoder", "event_key"]

FIELDS = Event.__struct_fields__
CANONICAL = ("ouzel-event", b"1")
"""A header of records that Ouzel's own tools write.

Their fields have Ouzel's names already, their types are Ouzel's own, and their times are in epoch
ms, however small. No setting for the user's own events applies to them.
"""


class Deletion(msgspec.Struct, frozen=True):
    """A record with a key and a null value: delete all state of that user or session id."""

    key: str


Ignored = Literal["tombstone", "no_event"]
"""Why a valid record holds nothing: a null value that means nothing, or no event that is wanted."""


class Decoded(NamedTuple):
    """What a record holds: its events in order, or a deletion.

    ``notes`` are what is to be counted. ``bad`` is the problem of the first event that cannot be
    used although others can. If there is neither, ``ignored`` says why.
    """

    events: Sequence[Event] = ()
    deletion: Deletion | None = None
    notes: Sequence[Note] = NO_NOTES
    bad: BadRecord | None = None
    ignored: Ignored = "no_event"


class _Canonical(msgspec.Struct, forbid_unknown_fields=True):
    """An event under Ouzel's names, before its bounds are checked.

    On the fast path, msgspec decodes JSON directly into this class. An unknown field may be an
    alias, so the fast path rejects it, and the general path decodes the event. Both give the same
    result for an event that both accept.
    """

    item_id: str | int | None = None
    timestamp: int | float | str | None = None
    event_id: str | int | None = None
    user_id: str | int | None = None
    session_id: str | int | None = None
    event_type: str | int | None = None
    event_value: float | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    recommendation_id: str | int | None = None
    context: JsonObject | None = None
    properties: JsonObject | None = None


_fast = msgspec.json.Decoder(_Canonical).decode


class EventDecoder:
    """Decodes the records of the events topic.

    ``mapping`` maps fields of `Event` to dotted paths in the user's events; a mapped field is read
    from its path only. ``hook`` replaces JSON decoding. A value of more than ``max_bytes`` is
    rejected, and so is an event whose time is more than ``max_ahead_ms`` after its record's Kafka
    time. ``types`` resolves the names of event types. ``guests`` are ids that mean no user; those
    of ``alone`` count nevertheless if there is no other id. ``times`` says how to read times.
    ``only`` has the wanted values at dotted paths; other records are ignored. If ``tombstones`` is
    false, so are null values, unless Ouzel's own tools wrote them. A record of more than
    ``max_events`` events is rejected. ``report`` is called with a message for each mapped path that
    the first 1000 events lack. Raises ``ValueError`` if the mapping names a field that `Event` does
    not have.
    """

    def __init__(
        self,
        mapping: Mapping[str, str] | None = None,
        hook: Hook | None = None,
        *,
        max_bytes: int = 1_000_000,
        max_ahead_ms: int = 300_000,
        types: EventTypes | None = None,
        guests: Sequence[str] = (),
        alone: Sequence[str] = (),
        times: TimeRule = BY_SIZE,
        only: Mapping[str, Sequence[object]] | None = None,
        tombstones: bool = True,
        max_events: int = MAX_EVENTS,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.mapping = {name: parts(path) for name, path in (mapping or {}).items()}
        unknown = sorted(set(self.mapping) - set(FIELDS))
        if unknown:
            raise ValueError(f"field_mapping: {unknown[0]} is not a field of an event; the fields are {', '.join(FIELDS)}")
        self._hook = None if hook is None else UserDecoder(hook)
        self._max_bytes, self._max_events = max_bytes, max_events
        self._checks = Checks(types or EventTypes(), guests, times, max_ahead_ms, alone)
        self._canonical = Checks(EventTypes(), (), IN_MS, max_ahead_ms)
        self.mapped = MappedFields(mapping or {}, report)
        self._only, self._tombstones = filter_of(only or {}, parts), tombstones
        self._plain = hook is None and not self.mapping and not self._only

    def decode(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes]] = (),
        event_id: str | None = None,
    ) -> Decoded:
        """Decode one record. ``timestamp_ms`` is its Kafka time in epoch ms.

        An event without an id of its own gets ``event_id``, or else topic-partition-offset. Raises
        `BadRecord` if no event of the record can be used. A record may hold no event: its type may
        be ignored, or the hook may return none.
        """
        if value is None:
            return Decoded(deletion=_deletion(key)) if self._tombstones or CANONICAL in headers else Decoded(ignored="tombstone")
        if not value:
            raise BadRecord("empty")
        if len(value) > self._max_bytes:
            raise BadRecord("too_large", f"{len(value)} bytes, at most {self._max_bytes}")
        place = event_id or f"{topic}-{partition}-{offset}"
        canonical_record = CANONICAL in headers
        checks = self._canonical if canonical_record else self._checks
        ours = self._plain or canonical_record
        if ours:
            try:
                one = _fast(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # another format, or invalid: the general path decides
            else:
                if one.item_id is not None:
                    notes: list[Note] = []
                    event = checks.event(one, place, timestamp_ms, notes)
                    return Decoded(() if event is None else (event,), None, notes)
        context = Context(key, topic, partition, offset, timestamp_ms)
        raws = events_in(value, unwrap=ours) if ours or self._hook is None else self._hook(value, headers, context)
        if ours:
            return self._several(raws, {}, place, timestamp_ms, checks)
        try:
            return self._several([raw for raw in raws if passes(raw, self._only)], self.mapping, place, timestamp_ms, checks)
        except BadRecord:
            raise
        except Exception as error:  # a hook may return objects whose methods raise any error
            if self._hook is None:
                raise
            raise BadRecord("decoder_error", describe(error)) from error

    def decode_record(self, record: KafkaRecord, event_id: str | None = None) -> Decoded:
        """Decode one record as it was read from Kafka; see `decode`."""
        return self.decode(
            record.key,
            record.value,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            headers=record.headers,
            event_id=event_id,
        )

    def decode_fields(self, raw: Fields, place: str) -> Decoded:
        """Decode an event that is not bytes, such as a row of a table. No mapping applies.

        ``place`` is the id of an event without one. Raises `BadRecord`.
        """
        return self._several([raw], {}, place, -1, self._checks)

    def _several(
        self, raws: Sequence[Fields], mapping: Mapping[str, Path], place: str, kafka_time: int, checks: Checks
    ) -> Decoded:
        several: list[JsonObject] = []
        notes: list[Note] = []
        for raw in raws:
            found = canonical(raw, mapping, checks.guests, self._max_events)
            several += found
            if len(several) > self._max_events:
                raise BadRecord("out_of_bounds", f"the record holds more than {self._max_events} events")
            if mapping:
                notes += self.mapped.look(raw, found)
        events: list[Event] = []
        bad: BadRecord | None = None
        for n, fields in enumerate(several):
            try:
                event = checks.event(_Canonical(**fields), f"{place}.{n}" if n else place, kafka_time, notes)
            except BadRecord as problem:
                if len(several) == 1:
                    raise self.mapped.explained(problem, notes) from problem.__cause__
                bad = bad or BadRecord(problem.reason, f"event {n + 1} of {len(several)}: {problem.detail}")
                continue
            if event is not None:
                events.append(event)
        if bad is not None and not events:
            raise self.mapped.explained(bad, notes)
        return Decoded(events, None, notes or NO_NOTES, bad)


def event_key(event: Event) -> bytes:
    """Return the record key of an event: its user id, or its session id if the user is unknown."""
    return ((event.user_id if event.user_id is not None else event.session_id) or "").encode()


def _deletion(key: bytes | None) -> Deletion:
    if not key:
        raise BadRecord("null", "the record has neither a key nor a value")
    try:
        return Deletion(check_stored_owner("key", key.decode()))
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "the key of a deletion") from None
