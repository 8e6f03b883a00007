"""Checks an event's fields, drops optional ones that cannot be read, and notes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from streams.events.bounds import MAX_CURRENCY_LENGTH, BadRecord, check_id, check_owner, check_text
from streams.events.event_time import FORMS, Moment, TimeRule, UnknownForm, moment_of, suspicious
from streams.events.event_types import EventTypes
from streams.events.notes import Kind, Note
from streams.events.readings import read_number, read_object
from streams.events.records import Event

T = TypeVar("T")


OPTIONAL = (
    "event_id", "session_id", "event_value", "quantity", "price", "currency", "recommendation_id", "context", "properties",
)  # fmt: skip
"""Fields without which an event can be used."""


_NO_ITEM = ("null", "none", "nil", "undefined", "nan", "(null)", "<null>", "(not set)", "\\n")
NO_ITEM = frozenset(form for name in _NO_ITEM for form in (name, name.upper(), name.capitalize())) | {"NaN"}
"""Ids of items that are the lack of one, as programs write it by mistake.

An item of this id would be popular with everybody.
"""


class Unchecked(Protocol):
    """The fields of an event under Ouzel's names. Each may have any type; ``None`` is none."""

    item_id: Any
    timestamp: Any
    event_id: Any
    user_id: Any
    session_id: Any
    event_type: Any
    event_value: Any
    quantity: Any
    price: Any
    currency: Any
    recommendation_id: Any
    context: Any
    properties: Any


class Checks:
    """Turns unchecked fields into an `Event`. The parameters are those of `EventDecoder`."""

    def __init__(
        self, types: EventTypes, guests: Sequence[str], times: TimeRule, max_ahead_ms: int, alone: Sequence[str] = ()
    ) -> None:
        self._types, self._times, self._max_ahead_ms = types, times, max_ahead_ms
        self.guests = frozenset(guest.strip().lower() for guest in guests)
        self._longest = max(map(len, self.guests), default=-1) + 2
        self._alone = frozenset(alone)

    def event(self, fields: Unchecked, place: str, kafka_time: int, notes: list[Note]) -> Event | None:
        """Return the event, or ``None`` if events of its type are ignored. Adds to ``notes``.

        ``place`` is the id of an event without one. A ``kafka_time`` of -1 means that there is
        none, as in files. Raises `BadRecord` if a field that an event cannot be without is missing
        or cannot be read.
        """
        event_type = self._event_type(fields, notes)
        if event_type is None:
            return None
        if fields.item_id is None:
            raise BadRecord("missing_field", "item_id")
        if type(fields.item_id) is str and fields.item_id in NO_ITEM:
            raise BadRecord("missing_field", f"item_id is {fields.item_id!r}, which means that there is none")
        user_id = self._owner("user_id", fields.user_id, notes)
        session_id = self._session(fields.session_id, user_id, notes)
        if user_id is None and session_id is None:
            user_id = self._of_guest(fields.user_id)
            session_id = None if user_id else self._of_guest(fields.session_id)
            if user_id is None and session_id is None:
                raise BadRecord("missing_field", "user_id or session_id")
        moment = self._moment(fields.timestamp, kafka_time)
        if moment.form != "ms":
            notes.append(_TIMES[moment.form])
        if suspicious(moment.ms):
            notes.append(_EARLY)
        if kafka_time >= 0 and moment.ms > kafka_time + self._max_ahead_ms:
            ahead_s = (moment.ms - kafka_time) / 1000
            bound = f"{ahead_s:.0f} s after the record's Kafka time, at most {self._max_ahead_ms / 1000:g} s (OUZEL_MAX_AHEAD_S)"
            raise BadRecord("timestamp_in_future", f"timestamp is {moment.ms}, {bound}")
        event = Event(
            event_id=_optional("event_id", fields.event_id, check_id, notes) or place,
            item_id=check_id("item_id", fields.item_id),
            user_id=user_id,
            session_id=session_id,
            timestamp=moment.ms,
            event_type=event_type,
        )
        _add_optional(event, fields, notes)
        return event

    def _event_type(self, fields: Unchecked, notes: list[Note]) -> str | None:
        if self._types.every is not None:
            return self._types.every
        if fields.event_type is None:
            notes.append(_UNTYPED)
            return "view"
        return self._types.resolve(fields.event_type, with_item=fields.item_id is not None)

    def _moment(self, value: object, kafka_time: int) -> Moment:
        try:
            return moment_of(value, kafka_time, self._times)
        except UnknownForm as bad:
            advice = "correct" if self._times.format else "name its form with"
            raise BadRecord(bad.reason, f"{bad.detail}: {advice} OUZEL_TIME_FORMAT") from None

    def _session(self, value: object, user_id: str | None, notes: list[Note]) -> str | None:
        """Return the session id. With a known user, one that cannot be read is dropped."""
        if value is None:
            return None
        if user_id is None:
            return self._owner("session_id", value, notes)
        return _optional("session_id", value, lambda name, value: self._owner(name, value, notes), notes)

    def _owner(self, name: str, value: object, notes: list[Note]) -> str | None:
        """Return the id of a user or session, or ``None`` if it means that there is none."""
        if value is None:
            return None
        written = value if isinstance(value, str) else str(value) if type(value) is int and abs(value) < 10 else None
        if written is not None and len(written) <= self._longest and written.strip().lower() in self.guests:
            notes.append(_GUESTS[name])
            return None
        return check_owner(name, value)

    def _of_guest(self, value: object) -> str | None:
        """Return the id of a guest that counts if there is no other id, or ``None``."""
        text = str(value) if isinstance(value, str | int) else ""
        return text if text in self._alone else None


def _add_optional(event: Event, fields: Unchecked, notes: list[Note]) -> None:
    if fields.event_value is not None:
        event.event_value = _optional("event_value", fields.event_value, read_number, notes)
    if fields.quantity is not None:
        event.quantity = _optional("quantity", fields.quantity, read_number, notes)
    if fields.price is not None:
        event.price = _optional("price", fields.price, read_number, notes)
    if fields.currency is not None:
        event.currency = _optional("currency", fields.currency, _currency, notes)
    if fields.recommendation_id is not None:
        event.recommendation_id = _optional("recommendation_id", fields.recommendation_id, check_id, notes)
    if fields.context is not None:
        event.context = _optional("context", fields.context, read_object, notes)
    if fields.properties is not None:
        event.properties = _optional("properties", fields.properties, read_object, notes)


def _optional(name: str, value: object, read: Callable[[str, object], T], notes: list[Note]) -> T | None:
    """Return the value of an optional field. If it cannot be read, return ``None`` and note it."""
    if value is None:
        return None
    try:
        return read(name, value)
    except BadRecord as bad:
        if bad.reason == "too_deep":  # both ways to decode a record must agree, and one sees its whole depth
            raise
        notes.append(_DROPPED[name])
        return None


def _currency(name: str, value: object) -> str:
    return check_text(name, value, MAX_CURRENCY_LENGTH)


_TIMES = {form: Note(Kind.TIME, form) for form in FORMS}
_EARLY, _UNTYPED = Note(Kind.EARLY, "timestamp"), Note(Kind.UNTYPED, "event_type")
_DROPPED = {name: Note(Kind.DROPPED, name) for name in OPTIONAL}
_GUESTS = {name: Note(Kind.GUEST, name) for name in ("user_id", "session_id")}
