"""The bounds on what users send, and `BadRecord` for what is beyond them."""

from __future__ import annotations

import math
import re
from typing import Any

from streams.errors import BadData

MAX_ID_LENGTH = 256
RESERVED_ID = "__popular__"
"""The key on `recommendations` of the ranking for cold users, so nobody's own."""
MAX_CURRENCY_LENGTH = 8
MAX_NUMBER = 1e15
MAX_DEPTH = 16
"""Levels of objects and lists in ``context`` and ``properties``; a whole record has one more."""
MAX_NODES = 1_000_000
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
)
"""Every reason there is: the label of a metric, so it stays bounded."""


class BadRecord(BadData):
    """An event or an item that cannot be used. ``reason`` is one of `REASONS`."""


def check_id(name: str, value: Any) -> str:
    """An identifier: a string, or an integer read as one, of 1 to 256 characters, none of them a control character."""
    if type(value) is str and 0 < len(value) <= MAX_ID_LENGTH and value.isascii() and value.isprintable():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(10**30) < value < 10**30:  # beyond a few thousand digits str() refuses
            raise BadRecord("out_of_bounds", f"{name} is an integer of {value.bit_length()} bits")
        return str(value)
    text = check_text(name, value, MAX_ID_LENGTH)
    if not text:
        raise BadRecord("out_of_bounds", f"{name} is empty")
    return text


def check_owner(name: str, value: Any) -> str:
    """An identifier of a user or an anonymous session: any but the one that is reserved on `recommendations`."""
    text = check_id(name, value)
    if text == RESERVED_ID:
        raise BadRecord("out_of_bounds", f"{name} is reserved")
    return text


def check_text(name: str, value: Any, longest: int) -> str:
    """A string of at most ``longest`` characters without control characters."""
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    if len(value) > longest:
        raise BadRecord("out_of_bounds", f"{name} has {len(value)} characters, at most {longest}")
    if _CONTROL.search(value):
        raise BadRecord("out_of_bounds", f"{name} has control characters")
    return value


def check_number(name: str, value: Any) -> float:
    """A finite number, at most 1e15 either way."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # not a number is in no range
        raise BadRecord("out_of_bounds", f"{name} is beyond {MAX_NUMBER:g}")
    return float(value)


def check_object(name: str, value: Any) -> dict[str, Any]:
    """A JSON object that nests at most `MAX_DEPTH` levels."""
    if not isinstance(value, dict):
        raise BadRecord("wrong_type", f"{name} is {type(value).__name__}")
    check_tree(name, value, MAX_DEPTH)
    return value


def check_tree(name: str, value: Any, deepest: int) -> None:
    """Nothing but JSON, and no deeper than ``deepest``. Level by level: recursion would have a limit of its own."""
    layer, depth, nodes = [value], 0, 0
    while layer:
        depth += 1
        nodes += len(layer)
        if depth > deepest:
            raise BadRecord("too_deep", f"{name} nests deeper than {deepest}")
        below: list[Any] = []
        for container in layer:
            _children(name, container, below)
            if nodes + len(below) > MAX_NODES:  # a decoder may have built a list that holds itself
                raise BadRecord("out_of_bounds", f"{name} has more than {MAX_NODES} parts")
        layer = below


def _children(name: str, container: dict[Any, Any] | list[Any], below: list[Any]) -> None:
    """Append what nests in this object or list. Its other values must be JSON: a user's decoder may return anything."""
    if isinstance(container, dict):
        if not all(type(key) is str for key in container):
            raise BadRecord("wrong_type", f"a key within {name} is no string")
        values: Any = container.values()
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
