"""From raw bytes to an `Event`, a `Deletion`, or a `BadRecord` with the reason. Nothing else can come out."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.aliases import canonical
from streams.records import EVENT_TYPES, Event

MAX_ID_LENGTH = 256
MAX_CURRENCY_LENGTH = 8
MAX_DEPTH = 16
SECONDS_BELOW = 100_000_000_000
MICROSECONDS_FROM = 100_000_000_000_000
NUMBERS = ("event_value", "quantity", "price")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ISO_START = re.compile(r"\d{4}-\d\d")

REASONS = (
    "empty",
    "null",
    "too_large",
    "not_utf8",
    "invalid_json",
    "too_deep",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "out_of_bounds",
    "unknown_event_type",
    "timestamp_in_future",
    "decoder_error",
)
"""Every reason there is: the label of a metric, so it stays bounded."""

Hook = Callable[[bytes, Sequence[tuple[str, bytes]]], Mapping[str, Any]]
"""A user's decoder: the record's value and headers to a mapping of fields."""


class BadRecord(Exception):
    """A record that is no event. ``reason`` is one of `REASONS`, ``detail`` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Deletion(msgspec.Struct, frozen=True):
    """A null value with a key: forget what is kept under that user or session id."""

    key: str


class _Canonical(msgspec.Struct):
    """Our own shape, for the fast path: anything else takes the general one."""

    item_id: str
    timestamp: int
    event_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    event_type: str = "view"
    event_value: float | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    recommendation_id: str | None = None
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


_fast = msgspec.json.Decoder(_Canonical).decode
_general = msgspec.json.Decoder().decode


class EventDecoder:
    """Decodes the records of the events topic.

    ``mapping`` is our field -> path in the user's events; ``hook`` replaces JSON. An event more than ``max_ahead_ms`` after its
    record's Kafka time is bad, as is a value longer than ``max_bytes``.
    """

    def __init__(
        self,
        mapping: Mapping[str, str] | None = None,
        hook: Hook | None = None,
        *,
        max_bytes: int = 1_000_000,
        max_ahead_ms: int = 300_000,
    ) -> None:
        self._mapping = dict(mapping or {})
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
        fields = self._read(value, headers)
        default_id = f"{topic}-{partition}-{offset}"
        event = _event(fields, default_id, timestamp_ms)
        if event.timestamp > timestamp_ms + self._max_ahead_ms:
            raise BadRecord("timestamp_in_future", f"{event.timestamp} with a Kafka time of {timestamp_ms}")
        return event

    def _read(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> dict[str, Any] | _Canonical:
        if self._plain:
            try:
                return _fast(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # another shape, or bad: the general way finds out which
        raw = self._from_hook(value, headers) if self._hook is not None else _from_json(value)
        if not isinstance(raw, Mapping):
            raise BadRecord("not_an_object", type(raw).__name__)
        return canonical(raw, self._mapping)

    def _from_hook(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        assert self._hook is not None
        try:
            return self._hook(value, headers)
        except Exception as error:  # a user's code: whatever it raises is about this record
            raise BadRecord("decoder_error", repr(error)[:200]) from error


def load_decoder(name: str) -> Hook:
    """Import ``module:function``. Raises ``ValueError`` with one line."""
    module, _, function = name.partition(":")
    try:
        found: Hook = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"decoder {name}: {error}") from error
    return found


def check_id(name: str, value: Any) -> str:
    """An identifier: a string, or an integer read as one, of 1 to 256 characters, none of them a control character."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    if not 0 < len(value) <= MAX_ID_LENGTH:
        raise BadRecord("out_of_bounds", f"{name} has {len(value)} characters, at most {MAX_ID_LENGTH}")
    if not (value.isascii() and value.isprintable()) and _CONTROL.search(value):
        raise BadRecord("out_of_bounds", f"{name} has control characters")
    return value


def check_number(name: str, value: Any) -> float | None:
    """A finite number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > 1e15:
        raise BadRecord("out_of_bounds", f"{name} is {str(value)[:20]}")
    return float(value)


def _deletion(key: bytes | None) -> Deletion:
    if not key:
        raise BadRecord("null", "neither key nor value")
    try:
        return Deletion(check_id("key", key.decode()))
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "the key of a deletion") from None


def _from_json(value: bytes) -> Any:
    try:
        return _general(value)
    except RecursionError:
        raise BadRecord("too_deep", "deeper than the decoder goes") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise BadRecord("not_utf8") from None
        raise BadRecord("invalid_json", str(error)[:200]) from None


def _event(fields: dict[str, Any] | _Canonical, default_id: str, kafka_time: int) -> Event:
    """Check every bound. The fast path has its types checked already."""
    get = fields.get if isinstance(fields, dict) else lambda name: getattr(fields, name)
    item, user, session, identity = get("item_id"), get("user_id"), get("session_id"), get("event_id")
    if item is None:
        raise BadRecord("missing_field", "item_id")
    if user is None and session is None:
        raise BadRecord("missing_field", "user_id or session_id")
    kind = get("event_type") or "view"
    if not isinstance(kind, str):
        raise BadRecord("wrong_type", f"event_type is {type(kind).__name__}")
    if kind not in EVENT_TYPES:
        raise BadRecord("unknown_event_type", kind[:50])
    event = Event(
        event_id=default_id if identity is None else check_id("event_id", identity),
        item_id=check_id("item_id", item),
        user_id=None if user is None else check_id("user_id", user),
        session_id=None if session is None else check_id("session_id", session),
        timestamp=_timestamp(get("timestamp"), kafka_time),
        event_type=kind,
    )
    for name in NUMBERS:
        if (number := get(name)) is not None:
            setattr(event, name, check_number(name, number))
    if (currency := get("currency")) is not None:
        event.currency = _text("currency", currency, MAX_CURRENCY_LENGTH)
    if (recommendation := get("recommendation_id")) is not None:
        event.recommendation_id = check_id("recommendation_id", recommendation)
    for name in ("context", "properties"):
        if (extra := get(name)) is not None:
            setattr(event, name, _object(name, extra))
    return event


def _timestamp(value: Any, kafka_time: int) -> int:
    """Epoch ms. Numbers below 1e11 are seconds, from 1e14 microseconds; a text is ISO 8601, in UTC where it says nothing."""
    if value is None:
        return kafka_time
    if isinstance(value, str):
        if _ISO_START.match(value):
            return _from_iso(value)
        value = _from_digits(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"timestamp is {type(value).__name__}")
    if (isinstance(value, float) and not math.isfinite(value)) or not 0 <= value < 1e18:
        raise BadRecord("out_of_bounds", f"timestamp is {str(value)[:20]}")
    if value >= MICROSECONDS_FROM:
        return int(value // 1000)
    return round(value * 1000) if value < SECONDS_BELOW else int(value)


def _from_digits(text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text[:30])
    except ValueError:
        raise BadRecord("wrong_type", "timestamp is no ISO 8601 text") from None


def _from_iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        milliseconds = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadRecord("out_of_bounds", f"timestamp is {text[:30]}") from None
    if milliseconds < 0:
        raise BadRecord("out_of_bounds", f"timestamp is {text[:30]}")
    return milliseconds


def _text(name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    if len(value) > longest or _CONTROL.search(value):
        raise BadRecord("out_of_bounds", name)
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadRecord("too_deep", f"{name} nests deeper than {MAX_DEPTH}")
        layer = [inner for outer in layer for inner in _inside(outer)]
    return value


def _inside(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value
    return [inner for inner in values if isinstance(inner, dict | list)]
