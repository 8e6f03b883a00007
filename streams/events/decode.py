"""From raw bytes to an `Event`, a `Deletion`, or a `BadRecord` with the reason. Nothing else can come out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from streams.events.aliases import EVENT_TYPE_ALIASES, canonical, parts
from streams.events.bounds import (
    MAX_CURRENCY_LENGTH,
    MAX_DEPTH,
    REASONS,
    BadRecord,
    check_id,
    check_number,
    check_object,
    check_owner,
    check_text,
    check_tree,
)
from streams.events.event_time import event_time
from streams.events.records import EVENT_TYPES, Event

__all__ = ["REASONS", "BadRecord", "Deletion", "EventDecoder", "Hook", "event_key", "json_object", "load_decoder"]

Hook = Callable[[bytes, Sequence[tuple[str, bytes]]], Mapping[str, Any]]
"""A user's decoder: the record's value and headers to a mapping of fields."""


class Deletion(msgspec.Struct, frozen=True):
    """A null value with a key: forget what is kept under that user or session id."""

    key: str


class _Canonical(msgspec.Struct, forbid_unknown_fields=True):
    """An event under our names, before its bounds are checked.

    JSON that decodes straight into it skips the general way. A field that is not ours refuses: it may be an alias, and both
    ways must read every event alike.
    """

    item_id: str | int | None = None
    timestamp: int | float | str | None = None
    event_id: str | int | None = None
    user_id: str | int | None = None
    session_id: str | int | None = None
    event_type: str | None = None
    event_value: float | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    recommendation_id: str | int | None = None
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


_fast = msgspec.json.Decoder(_Canonical).decode
_general = msgspec.json.Decoder().decode


class EventDecoder:
    """Decodes the records of the events topic.

    ``mapping`` is our field -> dotted path in the user's events, and its fields are read from nowhere else; ``hook`` replaces
    JSON. An event more than ``max_ahead_ms`` after its record's Kafka time is bad, as is a value longer than ``max_bytes``.
    Raises ``ValueError`` for a mapping of a field that is not ours.
    """

    def __init__(
        self,
        mapping: Mapping[str, str] | None = None,
        hook: Hook | None = None,
        *,
        max_bytes: int = 1_000_000,
        max_ahead_ms: int = 300_000,
    ) -> None:
        self._mapping = {name: parts(path) for name, path in (mapping or {}).items()}
        unknown = sorted(set(self._mapping) - set(Event.__struct_fields__))
        if unknown:
            raise ValueError(f"field_mapping: {unknown[0]} is no field of an event")
        self._hook = hook
        self._max_bytes = max_bytes
        self._max_ahead_ms = max_ahead_ms
        self._plain = hook is None and not self._mapping

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
    ) -> Event | Deletion:
        """Decode one record, whose Kafka time is ``timestamp_ms``. Raises `BadRecord`."""
        if value is None:
            return _deletion(key)
        if not value:
            raise BadRecord("empty")
        if len(value) > self._max_bytes:
            raise BadRecord("too_large", f"{len(value)} bytes, at most {self._max_bytes}")
        event = _event(self._read(value, headers), timestamp_ms)
        if not event.event_id:
            event.event_id = f"{topic}-{partition}-{offset}"
        if event.timestamp > timestamp_ms + self._max_ahead_ms:
            raise BadRecord("timestamp_in_future", f"{event.timestamp} with a Kafka time of {timestamp_ms}")
        return event

    def _read(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> _Canonical:
        if self._plain:
            try:
                return _fast(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # another shape, or bad: the general way finds out which
        raw = json_object(value) if self._hook is None else self._from_hook(self._hook, value, headers)
        return _Canonical(**canonical(raw, self._mapping))

    def _from_hook(self, hook: Hook, value: bytes, headers: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
        try:
            found = hook(value, headers)
            fields = dict(found) if isinstance(found, Mapping) else None
        except Exception as error:  # a user's code: whatever it raises is about this record
            raise BadRecord("decoder_error", _in_words(error)) from error
        if fields is None:
            raise BadRecord("not_an_object", f"the decoder returned {type(found).__name__}")
        return fields


def event_key(event: Event) -> bytes:
    """The key that an event belongs under: its user, or its session where the user is unknown."""
    return ((event.user_id if event.user_id is not None else event.session_id) or "").encode()


def load_decoder(name: str) -> Hook:
    """Import ``module:function``. Raises ``ValueError`` with one line."""
    module, _, function = name.partition(":")
    try:
        found: Hook = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # the module runs as it is imported
        raise ValueError(f"decoder {name}: {' '.join(_in_words(error).split())}") from error
    if not callable(found):
        raise ValueError(f"decoder {name}: {type(found).__name__} is not callable")
    return found


def json_object(value: bytes) -> dict[str, Any]:
    """The JSON object in these bytes, no deeper than the bounds allow. Raises `BadRecord`."""
    try:
        found = _general(value)
    except RecursionError:
        raise BadRecord("too_deep", "deeper than the decoder goes") from None
    except msgspec.ValidationError as error:  # untyped, only a number that no float can hold
        raise BadRecord("out_of_bounds", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise BadRecord("not_utf8") from None
        raise BadRecord("invalid_json", str(error)) from None
    if not isinstance(found, dict):
        raise BadRecord("not_an_object", type(found).__name__)
    # Brackets within strings count too, so this only tells what need not be walked.
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH:
        check_tree("the record", found, MAX_DEPTH + 1)
    return found


def _deletion(key: bytes | None) -> Deletion:
    if not key:
        raise BadRecord("null", "neither key nor value")
    try:
        return Deletion(check_owner("key", key.decode()))
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "the key of a deletion") from None


def _event(seen: _Canonical, kafka_time: int) -> Event:
    """Check types and bounds: the fast path has its types checked already, a user's decoder returns anything."""
    if seen.item_id is None:
        raise BadRecord("missing_field", "item_id")
    if seen.user_id is None and seen.session_id is None:
        raise BadRecord("missing_field", "user_id or session_id")
    event = Event(
        event_id="" if seen.event_id is None else check_id("event_id", seen.event_id),
        item_id=check_id("item_id", seen.item_id),
        user_id=None if seen.user_id is None else check_owner("user_id", seen.user_id),
        session_id=None if seen.session_id is None else check_owner("session_id", seen.session_id),
        timestamp=event_time(seen.timestamp, kafka_time),
        event_type=_event_type(seen.event_type),
    )
    if seen.event_value is not None:
        event.event_value = check_number("event_value", seen.event_value)
    if seen.quantity is not None:
        event.quantity = check_number("quantity", seen.quantity)
    if seen.price is not None:
        event.price = check_number("price", seen.price)
    if seen.currency is not None:
        event.currency = check_text("currency", seen.currency, MAX_CURRENCY_LENGTH)
    if seen.recommendation_id is not None:
        event.recommendation_id = check_id("recommendation_id", seen.recommendation_id)
    if seen.context is not None:
        event.context = check_object("context", seen.context)
    if seen.properties is not None:
        event.properties = check_object("properties", seen.properties)
    return event


def _event_type(name: Any) -> str:
    """One of ours, by our name or another system's. An unknown one is no view: it is bad, so that it is seen."""
    if name is None:
        return "view"
    if not isinstance(name, str):
        raise BadRecord("wrong_type", f"event_type is {type(name).__name__}")
    if name in EVENT_TYPES:
        return name
    found = EVENT_TYPE_ALIASES.get(name.lower())
    if found is None:
        raise BadRecord("unknown_event_type", name[:50])
    return found


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a user's exception may fail to show itself
        return type(error).__name__
