"""Names that other systems use for Ouzel's fields, and events that hold several events.

The systems are GA4, Google Retail, Segment, Amazon Personalize, REES46, OTTO and RetailRocket.
Ouzel's own names take precedence. Case, underscores and hyphens in an alias make no difference, so
``event_time``, ``eventTime`` and ``EVENT_TIME`` are one name.

GA4's `ga_session_id` is not an alias. It is the second in which the session began, so unrelated
users share it. The id of a browser or device is an alias of ``user_id``, because it outlives
sessions: as a ``session_id`` it would merge all visits into one session. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from streams.events.bounds import LONG_INTEGER, MAX_EVENTS, JsonObject

ALIASES: dict[str, tuple[str, ...]] = {
    "event_id": ("messageId", "insertId"),
    "user_id": (
        "userInfo.userId", "visitorId", "anonymousId", "user_pseudo_id", "userInfo.visitorId", "domain_userid",
    ),
    "session_id": ("session", "user_session", "domain_sessionid"),
    "item_id": (
        "product_id",
        "aid",
        "sku",
        "properties.product_id",
        "properties.item_id",
        "properties.sku",
        "event_params.item_id",
    ),
    "timestamp": (
        "event_timestamp", "event_time", "originalTimestamp", "sent_at", "occurred_at", "created_at", "ts", "time", "datetime",
        "derived_tstamp", "collector_tstamp", "date",
    ),
    "event_type": ("event_name", "event", "event.name", "event.type", "behavior_type", "behavior", "action", "type"),
    "event_value": ("value", "properties.value", "properties.revenue", "purchaseTransaction.revenue"),
    "quantity": ("properties.quantity",),
    "price": ("properties.price",),
    "currency": ("currencyCode", "properties.currency", "purchaseTransaction.currencyCode", "ecommerce.currency"),
    "recommendation_id": ("attributionToken",),
}  # fmt: skip
LINES = (
    "items", "ecommerce.items", "productDetails", "properties.products", "properties.items", "products", "line_items",
    "order.line_items", "order.items",
)  # fmt: skip
"""Lists of the products of one event, such as an order. Each product becomes an event."""
LINE_ALIASES: dict[str, tuple[str, ...]] = {
    "item_id": ("item_id", "product_id", "product.id", "sku", "id"),
    "quantity": ("quantity", "qty"),
    "price": ("price", "item_price", "product.priceInfo.price"),
}
EVENT_LISTS = ("eventList", "events")
"""Lists of the events of one user or session: Personalize's PutEvents and OTTO's sessions."""
WRAPPERS = frozenset({"string", "int", "long", "float", "double", "boolean"}) | {
    "$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$uuid",
}  # fmt: skip
"""The only name of an object that stands for its value: a union of Avro, or a type of MongoDB."""
EACH = "*"
"""In a mapped path, every position of a list: each becomes an event."""

Fields = Mapping[Any, Any]
"""A decoded event before its check: a user's decoder may return keys and values of any type."""
Path = tuple[str | int, ...]
_AliasPath = tuple[str, ...]
_POSITION = re.compile(r"0|[1-9][0-9]{0,4}")
_SEPARATORS = str.maketrans("", "", "_-")


def parts(path: str) -> Path:
    """Split a dotted path into names of fields and positions in lists."""
    return tuple(int(part) if _POSITION.fullmatch(part) else part for part in path.split("."))


def canonical(
    raw: Fields, mapping: Mapping[str, Path], guests: frozenset[str] = frozenset(), most: int = MAX_EVENTS
) -> list[JsonObject]:
    """Return the fields, under Ouzel's names, of each event that this one holds; usually one.

    A field in ``mapping`` is read from its path only. Other fields are read by Ouzel's own name,
    then by the aliases in order. An alias counts only if its value is a text or a number: the same
    name may mean something else in a user's own format. An id of a user or session that is one of
    ``guests``, in lower case, counts only if no other name has one.

    Of a record of more than ``most`` events, it returns one more than that: a megabyte of ones and
    commas would make half a million.
    """
    return list(islice(_events(raw, mapping, guests), most + 1))


def _events(raw: Fields, mapping: Mapping[str, Path], guests: frozenset[str]) -> Iterator[JsonObject]:
    """Yield what `canonical` returns."""
    names = _by_plain_name(raw)
    if any(EACH in path for path in mapping.values()):
        yield from (_fields(raw, names, mapped, guests) for mapped in _each(raw, mapping))
        return
    among: Iterable[Fields] = () if "item_id" in mapping else _events_of(raw, names)
    one = None
    for one in among:
        yield from _with_lines(one, _by_plain_name(one), mapping, guests)
    if one is None:
        yield from _with_lines(raw, names, mapping, guests)


def at_path(raw: object, path: Path) -> object:
    """Return the value at a path, or ``None`` if the path leads nowhere.

    A name applied to a list finds GA4's parameter of that name: ``{"key": name, "value": {...}}``.
    """
    value = raw
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(str(part))
        elif not isinstance(value, list):
            return None
        elif isinstance(part, str):
            value = _parameter(value, part)
        else:
            value = value[part] if part < len(value) else None
    return value


MAX_NAME_LENGTH = 64
"""Longer names are no aliases. They are not looked up, because `_plain_name` would keep them."""


@lru_cache(4096)
def _plain_name(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


def _alias_path(path: str) -> _AliasPath:
    return tuple(map(_plain_name, path.split(".")))


class _Alias(NamedTuple):
    """What a name may mean: a field, at the rest of a path. A lower ``rank`` takes precedence."""

    field: str
    rank: int
    rest: _AliasPath


def _by_first_name(aliases: Mapping[str, Sequence[str]]) -> dict[str, list[_Alias]]:
    """Return the aliases by the first name of their path."""
    found: dict[str, list[_Alias]] = {}
    for field, paths in aliases.items():
        for rank, path in enumerate(dict.fromkeys(map(_alias_path, paths))):
            found.setdefault(path[0], []).append(_Alias(field, rank, path[1:]))
    return found


_ALIASES = _by_first_name({name: (name, *paths) for name, paths in ALIASES.items()})
_LINE_ALIASES = _by_first_name(LINE_ALIASES)
_ID_ALIASES = _by_first_name({"event_id": ("event_id", *ALIASES["event_id"])})
_LINES = tuple(map(_alias_path, LINES))
_EVENT_LISTS = tuple(map(_plain_name, EVENT_LISTS))
_OBJECTS = ("context", "properties")
_OURS = (*ALIASES, *_OBJECTS)
_OWNERS = ("user_id", "session_id")
_LAST = 1000
"""Added to the rank of a guest's id: every other name takes precedence."""


def _fields(raw: Fields, names: JsonObject, mapping: Mapping[str, Path], guests: frozenset[str]) -> JsonObject:
    fields = {name: raw.get(name) for name in _OURS}
    for name, value in fields.items():
        if isinstance(value, dict) and name not in _OBJECTS:
            fields[name] = _unwrapped(value)
    for name, path in mapping.items():
        found = at_path(raw, path)
        fields[name] = found if name in _OBJECTS else _unwrapped(found)
    for name, value in _read(names, _ALIASES, guests).items():
        if name not in mapping and (fields[name] is None or (name in _OWNERS and _is_guest(fields[name], guests))):
            fields[name] = value
    return fields


def _with_lines(raw: Fields, names: JsonObject, mapping: Mapping[str, Path], guests: frozenset[str]) -> Iterator[JsonObject]:
    """Yield an event for each product of ``raw``; one event if it names its item or has none."""
    fields = _fields(raw, names, mapping, guests)
    if fields["item_id"] is None and "item_id" not in mapping:
        for first, *rest in _LINES:
            lines = _below(names.get(first), rest)
            if isinstance(lines, list) and lines:
                yield from (fields | _line(line) for line in lines)
                return
    yield fields


def _line(line: object) -> JsonObject:
    return _read(_by_plain_name(line), _LINE_ALIASES) if isinstance(line, Mapping) else {"item_id": line}


def _events_of(raw: Fields, names: JsonObject) -> Iterator[Fields]:
    """Yield the events of a list of events; each has what it lacks from the whole.

    An event without an id gets that of the whole, with its number.
    """
    for name in _EVENT_LISTS:
        events = names.get(name)
        if isinstance(events, list) and events and all(isinstance(event, Mapping) for event in events[: MAX_EVENTS + 1]):
            whole = {name: value for name, value in raw.items() if value is not events}
            base = _read(names, _ID_ALIASES).get("event_id")
            yield from ({**whole, "event_id": _id_of(event, base, n), **event} for n, event in enumerate(events))
            return


def _id_of(event: Fields, base: object, n: int) -> object:
    """Return the id of event number ``n`` of several. An integer too long for an id stays."""
    own = _read(_by_plain_name(event), _ID_ALIASES).get("event_id")
    if own is not None or base is None:
        return own
    return base if isinstance(base, int) and abs(base) >= LONG_INTEGER else f"{base}.{n}"


def _each(raw: Fields, mapping: Mapping[str, Path]) -> Iterator[Mapping[str, Path]]:
    """Yield the mapping once for each position of the list that its paths have `EACH` for."""
    size = 0
    for path in mapping.values():
        if EACH in path:
            values = at_path(raw, path[: path.index(EACH)])
            size = max(size, len(values) if isinstance(values, list) else 0)
    for n in range(max(size, 1)):
        yield {name: tuple(n if part == EACH else part for part in path) for name, path in mapping.items()}


def _by_plain_name(raw: Fields) -> JsonObject:
    """Return the values by plain name; of two names with the same plain one, the first counts."""
    names: JsonObject = {}
    for name, value in raw.items():
        if value is not None and isinstance(name, str) and len(name) <= MAX_NAME_LENGTH:
            names.setdefault(_plain_name(name), _unwrapped(value) if isinstance(value, dict) else value)
    return names


def _unwrapped(value: object) -> object:
    """Return the value that an object of `WRAPPERS` stands for; at most two are nested."""
    for _ in range(2):
        if not isinstance(value, dict) or len(value) != 1:
            break
        ((name, inner),) = value.items()
        if name not in WRAPPERS:
            break
        value = inner
    return value


def _is_guest(value: object, guests: frozenset[str]) -> bool:
    """Whether an id means that the user or session is unknown."""
    if type(value) is int and abs(value) < 10:
        value = str(value)
    return isinstance(value, str) and value.strip().lower() in guests


def _read(names: JsonObject, aliases: Mapping[str, Sequence[_Alias]], guests: frozenset[str] = frozenset()) -> JsonObject:
    """Return the value of each field that has an alias among the names, a text or a number."""
    fields: JsonObject = {}
    ranks: dict[str, int] = {}
    for name, value in names.items():
        for field, rank, rest in aliases.get(name, ()):
            found = _below(value, rest) if rest else value
            if field in _OWNERS and _is_guest(found, guests):
                rank += _LAST  # noqa: PLW2901  the rank of this value
            if isinstance(found, str | int | float) and type(found) is not bool and rank < ranks.get(field, rank + 1):
                fields[field], ranks[field] = found, rank
    return fields


def _below(value: object, path: Sequence[str]) -> object:
    """Return the value at a path of plain names, or ``None`` if the path leads nowhere."""
    for part in path:
        if isinstance(value, Mapping):
            value = _by_plain_name(value).get(part)
        elif isinstance(value, list):
            value = _parameter(value, part)
        else:
            return None
    return value


def _parameter(parameters: list[object], name: str) -> object:
    for parameter in parameters:
        if isinstance(parameter, Mapping) and _is_named(parameter.get("key"), name):
            value = parameter.get("value")
            if not isinstance(value, Mapping):
                return value
            return next((typed for typed in value.values() if typed is not None), None)
    return None


def _is_named(key: object, name: str) -> bool:
    return isinstance(key, str) and len(key) <= MAX_NAME_LENGTH and name in (key, _plain_name(key))
