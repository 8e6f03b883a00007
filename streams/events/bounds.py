"""The bounds on what users send, and `BadRecord` for a record that exceeds them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from streams.errors import BadData
from streams.events.notes import NO_NOTES, Note

JsonObject = dict[str, Any]
"""A JSON object decoded without a type: each value is checked before it is used."""
Container = dict[Any, Any] | list[Any]
"""A JSON object or list, or what a user's decoder returns in its place, with keys of any type."""

MAX_ID_BYTES = 256
"""Maximum length of an id that users send, in bytes of UTF-8."""
MAX_ID_LENGTH = 256
"""Maximum length of an id in stored records, in characters: earlier versions accepted as much."""
LONG_INTEGER = 10**30
"""Integers from here on are no ids. Python refuses to write those of a few thousand digits."""
RESERVED_ID = "__popular__"
"""The key on `recommendations` of the ranking for new users. No user or session may use this id."""
MAX_CURRENCY_LENGTH = 8
MAX_NUMBER = 1e15
WHOLE_BELOW = 2.0**53
"""Floats below this are exact. Programs write whole numbers as 7.0 if others in a column lack."""
MAX_EVENTS = 256
"""Maximum number of events in one record."""
MAX_OFFSET = 2**53
"""No partition has so many records: it would take a million a second for 285 years."""
MAX_PARTITION = 99_999
"""No topic has so many partitions."""
MAX_COUNT = 2**31 - 1
MAX_WEIGHT = 1000.0
MAX_TIME = 2**63 - 1
MAX_DEPTH = 16
"""Maximum nesting of objects and lists in ``context`` and ``properties``; a record has one more."""
MAX_NODES = 1_000_000
"""Maximum number of objects and lists in a tree. A decoder may make a list that contains itself."""
MOST_BYTES_OF_ONE = 4
"""Maximum number of bytes that UTF-8 uses for one character."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

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
    "unreadable_batch",
)
"""All reasons. They are the values of a metric's label, so their number is bounded."""


class BadRecord(BadData):
    """An event or an item that cannot be used.

    ``reason`` is one of `REASONS`. ``detail`` begins with the name of the field, if one field is at
    fault. ``notes`` are what is to be counted of it besides.
    """

    notes: Sequence[Note] = NO_NOTES


_KINDS: dict[type, str] = {
    dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a whole number", float: "a number",
    type(None): "null",
}  # fmt: skip


def kind_of(value: object) -> str:
    """Return what kind of JSON a value is, for an error.

    An error does not quote the value itself where it may identify a person.
    """
    return _KINDS.get(type(value), f"a {type(value).__name__}")  # a decoder may return any object of Python


def check_id(name: str, value: object) -> str:
    """Return the identifier: 1 to 256 bytes of UTF-8 without control characters.

    An integer is read as text, also if it is written as 7.0. Raises `BadRecord` for anything else.
    """
    if type(value) is str and 0 < len(value) <= MAX_ID_BYTES and value.isascii() and value.isprintable():
        return value
    if type(value) is float and value.is_integer() and abs(value) < WHOLE_BELOW:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= LONG_INTEGER:
            raise BadRecord("out_of_bounds", f"{name} is an integer of {value.bit_length()} bits")
        return str(int(value))
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write text or a whole number")
    text = check_encoded(name, value, MAX_ID_BYTES)
    if not text:
        raise BadRecord("out_of_bounds", f"{name} is empty")
    return text


def check_owner(name: str, value: object) -> str:
    """Return the id of a user or anonymous session. Raises `BadRecord`, also for `RESERVED_ID`."""
    return _not_reserved(name, check_id(name, value))


def check_stored_owner(name: str, text: str) -> str:
    """Return the id of a user or session whose state is stored, maybe by an earlier version.

    Earlier versions accepted ids of 256 characters, so their bytes may exceed `MAX_ID_BYTES`.
    Raises `BadRecord`.
    """
    if not check_text(name, text, MAX_ID_LENGTH):
        raise BadRecord("out_of_bounds", f"{name} is empty")
    return _not_reserved(name, text)


def _not_reserved(name: str, text: str) -> str:
    if text == RESERVED_ID:
        raise BadRecord("out_of_bounds", f"{name} is reserved")
    return text


def check_text(name: str, value: object, longest: int) -> str:
    """Return the text: at most ``longest`` characters, no control characters.

    Raises `BadRecord`.
    """
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write text")
    if len(value) > longest:
        raise BadRecord("out_of_bounds", f"{name} has {len(value)} characters, at most {longest}")
    return _printable(name, value)


def check_encoded(name: str, value: object, most: int) -> str:
    """Return the text: at most ``most`` bytes of UTF-8, no control characters. Raises `BadRecord`.

    Ids and all texts by which items are found have such a bound, because it also bounds the memory
    that they take and the paths that contain them.
    """
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write text")
    if len(value) > most // MOST_BYTES_OF_ONE and (length := _bytes(value)) > most:
        raise BadRecord("out_of_bounds", f"{name} has {length} bytes of UTF-8, at most {most}")
    return _printable(name, value)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _printable(name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise BadRecord("out_of_bounds", f"{name} has control characters")
    return str.__str__(value)  # a decoder may return a subclass, which cannot be encoded


def check_number(name: str, value: object) -> float:
    """Return the number as a float: finite, from -1e15 to 1e15. Raises `BadRecord`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write a number")
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # also true of NaN
        raise BadRecord("out_of_bounds", f"{name} is not a number from -{MAX_NUMBER:g} to {MAX_NUMBER:g}")
    return float(value)


def check_object(name: str, value: object) -> JsonObject:
    """Return the JSON object, which nests at most `MAX_DEPTH` levels. Raises `BadRecord`."""
    if not isinstance(value, dict):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write an object")
    check_tree(name, value, MAX_DEPTH)
    return value


def check_tree(name: str, value: Container, deepest: int) -> None:
    """Raise `BadRecord` unless this is JSON of at most ``deepest`` levels.

    The check goes level by level, because Python limits recursion.
    """
    layer, depth, nodes = [value], 0, 0
    while layer:
        depth += 1
        nodes += len(layer)
        if depth > deepest:
            raise BadRecord("too_deep", f"{name} nests deeper than {deepest}")
        below: list[Container] = []
        for container in layer:
            _children(name, container, below)
            if nodes + len(below) > MAX_NODES:
                raise BadRecord("out_of_bounds", f"{name} has more than {MAX_NODES} parts")
        layer = below


def _children(name: str, container: Container, below: list[Container]) -> None:
    """Append the objects and lists in ``container`` to ``below``. Other values must be JSON."""
    values: Iterable[Any]
    if isinstance(container, dict):
        if not all(type(key) is str for key in container):
            raise BadRecord("wrong_type", f"a key within {name} is not a string")
        values = container.values()
    else:
        values = container
    for value in values:
        kind = type(value)
        if kind is dict or kind is list:
            below.append(value)
        elif kind is float:
            if not math.isfinite(value):
                raise BadRecord("out_of_bounds", f"a number within {name} is not finite")
        elif not (kind is str or kind is int or kind is bool or value is None):
            raise BadRecord("wrong_type", f"{kind.__name__} within {name}")
