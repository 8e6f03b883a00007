"""Decodes the bytes of Ouzel's own topics. Invalid bytes raise `BadData`.

Events and items have their own decoders in `streams.events`, which distinguish more reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from streams.errors import BadData

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], value: bytes | None, error: type[BadData] = BadData) -> T:
    """Return ``decode(value)``. ``decode`` is the method of a msgspec decoder, or calls one.

    Raises ``error`` with the reason ``null`` if there is no value, and ``undecodable`` if msgspec
    does not accept it: bytes of another format, a missing field, a text that is not UTF-8, nesting
    that is too deep.
    """
    if value is None:
        raise error("null", "the record has no value")
    try:
        return decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise error("undecodable", str(problem)) from problem
