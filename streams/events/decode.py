"""Decode raw bytes to an `Event` or a `Deletion`, or raise `BadRecord` with the reason.

No other error is raised, whatever the bytes are. Pure.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from streams.events.aliases import EVENT_TYPE_ALIASES, canonical, parts
from streams.events.bounds import (
    MAX_CURRENCY_LENGTH,
    MAX_DEPTH,
    REASONS,
    BadRecord,
    JsonObject,
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

FIELDS = Event.__struct_fields__
Hook = Callable[[bytes, Sequence[tuple[str, bytes]]], Mapping[str, object]]
"""A user's decoder. It takes a record's value and headers, and returns the fields of the event."""


class Deletion(msgspec.Struct, frozen=True):
    """A record with a key and a null value: delete all state of that user or session id."""

    key: str


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
    event_type: str | None = None
    event_value: float | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    recommendation_id: str | int | None = None
    context: JsonObject | None = None
    properties: JsonObject | None = None


_fast = msgspec.json.Decoder(_Canonical).decode
_general = msgspec.json.Decoder().decode


class EventDecoder:
    """Decodes the records of the events topic.

    ``mapping`` maps fields of `Event` to dotted paths in the user's events; a mapped field is read
    from its path only. ``hook`` replaces JSON decoding. A value of more than ``max_bytes`` is
    rejected, and so is an event whose time is more than ``max_ahead_ms`` after its record's Kafka
    time. Raises ``ValueError`` if the mapping names a field that `Event` does not have.
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
        unknown = sorted(set(self._mapping) - set(FIELDS))
        if unknown:
            raise ValueError(f"field_mapping: {unknown[0]} is not a field of an event; the fields are {', '.join(FIELDS)}")
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
        event_id: str | None = None,
    ) -> Event | Deletion:
        """Decode one record. ``timestamp_ms`` is its Kafka time in epoch ms. Raises `BadRecord`.

        An event without an id of its own gets ``event_id``, or else topic-partition-offset.
        """
        if value is None:
            return _deletion(key)
        if not value:
            raise BadRecord("empty")
        if len(value) > self._max_bytes:
            raise BadRecord("too_large", f"{len(value)} bytes, at most {self._max_bytes}")
        event = _event(self._read(value, headers), timestamp_ms)
        if not event.event_id:
            event.event_id = event_id or f"{topic}-{partition}-{offset}"
        if event.timestamp > timestamp_ms + self._max_ahead_ms:
            raise BadRecord("timestamp_in_future", f"{event.timestamp} with a Kafka time of {timestamp_ms}")
        return event

    def _read(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> _Canonical:
        if self._plain:
            try:
                return _fast(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # another format, or invalid: the general path decides
        raw = json_object(value) if self._hook is None else self._from_hook(self._hook, value, headers)
        return _Canonical(**canonical(raw, self._mapping))

    def _from_hook(self, hook: Hook, value: bytes, headers: Sequence[tuple[str, bytes]]) -> JsonObject:
        try:
            decoded = hook(value, headers)
            fields = dict(decoded) if isinstance(decoded, Mapping) else None
        except Exception as error:  # the hook is a user's code: any error is about this record
            raise BadRecord("decoder_error", _describe(error)) from error
        if fields is None:
            raise BadRecord("not_an_object", f"the decoder returned {type(decoded).__name__}")
        return fields


def event_key(event: Event) -> bytes:
    """Return the record key of an event: its user id, or its session id if the user is unknown."""
    return ((event.user_id if event.user_id is not None else event.session_id) or "").encode()


def load_decoder(name: str) -> Hook:
    """Import the decoder ``module:function``. Raises ``ValueError`` with a message of one line."""
    module, _, function = name.partition(":")
    try:
        decoder: Hook = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # importing a module runs it
        raise ValueError(f"decoder {name}: {' '.join(_describe(error).split())}") from error
    if not callable(decoder):
        raise ValueError(f"decoder {name}: {type(decoder).__name__} is not callable")
    return decoder


def json_object(value: bytes) -> JsonObject:
    """Decode a JSON object of at most `MAX_DEPTH` + 1 levels. Raises `BadRecord`."""
    try:
        decoded = _general(value)
    except RecursionError:
        raise BadRecord("too_deep", "the record nests deeper than JSON decoding allows") from None
    except msgspec.ValidationError as error:  # decoding without a type raises it for a number beyond floats
        raise BadRecord("out_of_bounds", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise BadRecord("not_utf8") from None
        raise BadRecord("invalid_json", str(error)) from None
    if not isinstance(decoded, dict):
        raise BadRecord("not_an_object", type(decoded).__name__)
    # Few brackets cannot nest too deep. Many may be parts of strings, so only the tree shows it.
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH:
        check_tree("the record", decoded, MAX_DEPTH + 1)
    return decoded


def _deletion(key: bytes | None) -> Deletion:
    if not key:
        raise BadRecord("null", "the record has neither a key nor a value")
    try:
        return Deletion(check_owner("key", key.decode()))
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "the key of a deletion") from None


def _event(fields: _Canonical, kafka_time: int) -> Event:
    """Check types and bounds. Values of the general path may have any type."""
    if fields.item_id is None:
        raise BadRecord("missing_field", "item_id")
    if fields.user_id is None and fields.session_id is None:
        raise BadRecord("missing_field", "user_id or session_id")
    event = Event(
        event_id="" if fields.event_id is None else check_id("event_id", fields.event_id),
        item_id=check_id("item_id", fields.item_id),
        user_id=None if fields.user_id is None else check_owner("user_id", fields.user_id),
        session_id=None if fields.session_id is None else check_owner("session_id", fields.session_id),
        timestamp=event_time(fields.timestamp, kafka_time),
        event_type=_event_type(fields.event_type),
    )
    if fields.event_value is not None:
        event.event_value = check_number("event_value", fields.event_value)
    if fields.quantity is not None:
        event.quantity = check_number("quantity", fields.quantity)
    if fields.price is not None:
        event.price = check_number("price", fields.price)
    if fields.currency is not None:
        event.currency = check_text("currency", fields.currency, MAX_CURRENCY_LENGTH)
    if fields.recommendation_id is not None:
        event.recommendation_id = check_id("recommendation_id", fields.recommendation_id)
    if fields.context is not None:
        event.context = check_object("context", fields.context)
    if fields.properties is not None:
        event.properties = check_object("properties", fields.properties)
    return event


def _event_type(name: object) -> str:
    """Return the event type of this name or alias. An unknown name is rejected."""
    if name is None:
        return "view"
    if not isinstance(name, str):
        raise BadRecord("wrong_type", f"event_type is {type(name).__name__}")
    if name in EVENT_TYPES:
        return name
    event_type = EVENT_TYPE_ALIASES.get(name.lower())
    if event_type is None:
        raise BadRecord("unknown_event_type", name[:50])
    return event_type


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # the __str__ of a user's exception may raise
        return type(error).__name__
