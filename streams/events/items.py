"""Reads an item from the fields of a record, however they are written.

Only the id and the form, a JSON object, are indispensable. Any other field that cannot be read is
dropped, and the result says why. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import NamedTuple

from streams.events.bounds import (
    MAX_CURRENCY_LENGTH,
    BadRecord,
    check_encoded,
    check_id,
    check_number,
    check_text,
)
from streams.events.event_time import event_time
from streams.events.item_aliases import PROPERTIES, named_fields
from streams.events.json_bytes import json_object
from streams.events.readings import read_flag, read_list, read_number, read_object
from streams.events.records import Item

MAX_ITEM_BYTES = 100_000
MAX_NAME_LENGTH = 1024
"""Maximum number of characters of a name or of a label's value. Nothing is found by these texts."""
MAX_LABELS = 64
MAX_LABEL_BYTES = 256
"""Maximum length of a category, a brand and the name of a label, in bytes of UTF-8."""
EARLIEST = 100_000_000_000
"""March 1973. An earlier time in ms would be read as seconds."""
EARLIEST_EXPIRY = 946_684_800_000
"""The year 2000. An earlier ``expires_at`` is a duration, or a 0 that means never."""
AVAILABLE = ("in_stock", "available", "preorder", "backorder", "on_backorder", "limited_availability", "availability_unspecified")
UNAVAILABLE = ("out_of_stock", "unavailable", "not_available", "sold_out", "discontinued")
"""Words of Google, schema.org and shops for ``available``, besides those of a flag.

Upper and lower case, spaces, hyphens and underscores make no difference, and neither does a URL
before the word. What can be ordered is available.
"""
_WORD = re.compile(r"[^a-z]")
_AVAILABILITY = {_WORD.sub("", word): word in AVAILABLE for word in (*AVAILABLE, *UNAVAILABLE)}
_Dropped = dict[str, BadRecord]
"""Why fields were dropped, in whole or in part, by their names."""


class ReadItem(NamedTuple):
    """An item, and why some of its fields were dropped, by the name of the field.

    Besides the fields of `Item`, ``properties`` may be dropped.
    """

    item: Item
    dropped: _Dropped


def decode_item(value: bytes) -> Item:
    """Decode an item of which every field is readable. Raises `BadRecord` otherwise."""
    return item_of(json_item(value))


def json_item(value: bytes) -> dict[str, object]:
    """Decode the fields of an item from a record's value. Raises `BadRecord`."""
    if not value:
        raise BadRecord("empty")
    if len(value) > MAX_ITEM_BYTES:
        raise BadRecord("too_large", f"{len(value)} bytes, at most {MAX_ITEM_BYTES}")
    return json_object(value)


def item_of(fields: Mapping[str, object], default_id: str | None = None) -> Item:
    """Read an item of which every field is readable. Raises `BadRecord` otherwise."""
    item, dropped = read_item(fields, default_id)
    for bad in dropped.values():
        raise bad
    return item


def read_item(fields: Mapping[str, object], default_id: str | None = None) -> ReadItem:
    """Read what can be read of an item. Null fields count as absent, unknown fields are ignored.

    ``default_id`` is its id if the fields have none. If it is unreadable whether the item is
    hidden, it is hidden: an item that must not be shown does more harm on a page than another item
    does by being absent. Raises `BadRecord` if there is no id, or an invalid one.
    """
    named, bad_properties = named_fields(fields)
    if "item_id" in named:
        item = Item(item_id=check_id("item_id", named.pop("item_id")))
    elif default_id is not None:
        item = Item(item_id=default_id)
    else:
        raise BadRecord("missing_field", "item_id")
    dropped: _Dropped = {} if bad_properties is None else {PROPERTIES: bad_properties}
    for name, value in named.items():
        try:
            setattr(item, name, _READERS[name](name, value, dropped))
        except BadRecord as bad:
            dropped[name] = bad
    item.is_hidden |= "is_hidden" in dropped
    return ReadItem(item, dropped)


def _flag(name: str, value: object, dropped: _Dropped) -> bool:
    return read_flag(name, value)


def _number(name: str, value: object, dropped: _Dropped) -> float:
    return read_number(name, value)


def _currency(name: str, value: object, dropped: _Dropped) -> str:
    return check_text(name, value, MAX_CURRENCY_LENGTH)


def _name(name: str, value: object, dropped: _Dropped) -> str:
    return _text(name, value, _long)


def _brand(name: str, value: object, dropped: _Dropped) -> str | None:
    """Read a brand. Of a list of brands, the first counts."""
    values = [one for one in (value if isinstance(value, list) else [value]) if one is not None and one != ""]
    return _text(name, values[0], _short) if values else None


def _available(name: str, value: object, dropped: _Dropped) -> bool:
    """Read a flag, or a word such as ``OUT_OF_STOCK`` or ``https://schema.org/InStock``."""
    if isinstance(value, str):
        known = _AVAILABILITY.get(_WORD.sub("", value.rpartition("/")[2].lower()))
        if known is not None:
            return known
        if not value.strip():
            raise BadRecord("wrong_type", f"{name} is a blank text: write true or false")
    return read_flag(name, value)


def _time(name: str, value: object, dropped: _Dropped) -> int:
    """Read a time. Its milliseconds must mean the same time when they are read again."""
    try:
        time = event_time(value, 0)
        again = event_time(time, 0)
    except BadRecord as bad:
        raise BadRecord(bad.reason, f"{name}: {bad.detail}") from None
    if time < EARLIEST or again != time:
        raise BadRecord("out_of_bounds", f"{name} is {time} ms since 1970, which is too early or too late")
    return time


def _expiry(name: str, value: object, dropped: _Dropped) -> int:
    time = _time(name, value, dropped)
    if time < EARLIEST_EXPIRY:
        raise BadRecord("out_of_bounds", f"{name} is before the year 2000: leave it out if the item does not expire")
    return time


def _categories(name: str, value: object, dropped: _Dropped) -> list[str]:
    """Read categories. A list within the list is a path of categories: each counts."""
    values: list[object] = []
    for one in read_list(name, value):
        values += one if isinstance(one, list) else [one]
    return _texts(name, values, dropped)


def _labels(name: str, value: object, dropped: _Dropped) -> dict[str, str]:
    """Read labels. A text of a list becomes the name of a label whose value is empty."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = read_object(name, value)
    if not isinstance(value, dict):
        return dict.fromkeys(_texts(name, read_list(name, value), dropped), "")
    labels: dict[str, str] = {}
    for label, text in value.items():
        if text is not None and _has_room(name, labels, dropped):
            try:
                labels[check_id(f"{name}: a label", label)] = _label(name, text)
            except BadRecord as bad:
                dropped.setdefault(name, bad)
    return labels


def _label(name: str, value: object) -> str:
    """Read the value of a label. ``|`` separates the texts of a list."""
    values = value if isinstance(value, list) else [value]
    texts = [str(one).lower() if isinstance(one, bool) else _text(name, one, _long) for one in values]
    return _long(name, "|".join(texts))


def _texts(name: str, values: Sequence[object], dropped: _Dropped) -> list[str]:
    """Return the readable short texts of a list, without nulls and empty texts."""
    texts: list[str] = []
    for value in values:
        if value is not None and value != "" and _has_room(name, texts, dropped):
            try:
                texts.append(_text(name, value, _short))
            except BadRecord as bad:
                dropped.setdefault(name, bad)
    return texts


def _has_room(name: str, known: Sized, dropped: _Dropped) -> bool:
    if len(known) < MAX_LABELS:
        return True
    dropped.setdefault(name, BadRecord("out_of_bounds", f"{name} has more than {MAX_LABELS} entries"))
    return False


def _text(name: str, value: object, check: Callable[[str, object], str]) -> str:
    """Return a text. A number, such as the name of a book, is read as text."""
    if type(value) is str:
        return check(name, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = check_number(name, value)
        return str(value) if isinstance(value, int) else f"{number:.15g}"
    return check(name, value)


def _long(name: str, value: object) -> str:
    return check_text(name, value, MAX_NAME_LENGTH)


def _short(name: str, value: object) -> str:
    return check_encoded(name, value, MAX_LABEL_BYTES)


_READERS: dict[str, Callable[[str, object, _Dropped], object]] = {
    "item_name": _name,
    "categories": _categories,
    "brand": _brand,
    "price": _number,
    "currency": _currency,
    "is_hidden": _flag,
    "available": _available,
    "stock": _number,
    "available_from": _time,
    "expires_at": _expiry,
    "created_at": _time,
    "labels": _labels,
}
