"""Reads values that producers write in several ways: numbers, flags, objects and lists as text.

Each function returns the value in one form, or raises `BadRecord`. Pure.
"""

from __future__ import annotations

import re

from streams.events.bounds import LONG_INTEGER, BadRecord, JsonObject, check_number, check_object, kind_of
from streams.events.json_bytes import json_value

MAX_NUMBER_LENGTH = 40
"""Maximum number of characters of a number that is written as text."""
TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0", ""})
"""The words of `read_flag`, in lower case."""
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_CURRENCY = re.compile(r"^([A-Z]{3}|[$€£¥₹₩₽₺₫₴₪฿])\s*|\s*([A-Z]{3}|[$€£¥₹₩₽₺₫₴₪฿])$")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?P<group>[,.'\u2019 \u00a0\u202f])[0-9]{3}((?P=group)[0-9]{3})*(?P<rest>[.,][0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")


def read_number(name: str, value: object) -> float:
    """Return a number as a float; see `check_number` for its bounds.

    A text may have a currency before or after the number, and separators between groups of three
    digits. A single comma before exactly three digits separates a group ("1,299" is 1299), before
    any other number of digits it is a decimal comma; a single point is always a decimal point.
    Raises `BadRecord`.
    """
    if isinstance(value, str):
        value = _number_of(name, value)
    return check_number(name, value)


def read_flag(name: str, value: object) -> bool:
    """Return a flag: a boolean, 0, 1, or such a word as "true" or "no". Raises `BadRecord`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
    elif isinstance(value, int | float) and value in (0, 1):
        return value == 1
    short = isinstance(value, str | float) or (isinstance(value, int) and abs(value) < LONG_INTEGER)
    shown = repr(value)[:40] if short else kind_of(value)
    raise BadRecord("wrong_type", f"{name} is {shown}: write true or false")


def read_object(name: str, value: object) -> JsonObject:
    """Return a JSON object, which may be written as text. Raises `BadRecord`."""
    return check_object(name, _from_json(name, value))


def read_list(name: str, value: object, separators: str = "|;,") -> list[object]:
    """Return a list. It may be written as JSON text, or as text with a separator.

    The first of the ``separators`` that occurs in the text is the one. Raises `BadRecord`.
    """
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            value = _from_json(name, value)
        else:
            separator = next((one for one in separators if one in value), None)
            parts = value.split(separator) if separator else [value]
            return [part.strip() for part in parts if part.strip()]
    if not isinstance(value, list):
        raise BadRecord("wrong_type", f"{name} is {kind_of(value)}: write a list")
    return value


def _from_json(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json_value(value.encode())
    except (BadRecord, UnicodeEncodeError) as bad:
        raise BadRecord("wrong_type", f"{name} is a text that is not JSON: {bad}") from None


def _number_of(name: str, text: str) -> float:
    written = text.strip()
    if len(written) <= MAX_NUMBER_LENGTH:
        digits = _CURRENCY.sub("", written)
        if _PLAIN.fullmatch(digits):
            return float(digits)
        if grouped := _GROUPED.fullmatch(digits):
            group, rest = grouped["group"], grouped["rest"] or ""
            if not rest.startswith(group):
                whole = digits[: len(digits) - len(rest)].replace(group, "")
                return float(whole + rest.replace(",", "."))
        if _COMMA.fullmatch(digits):
            return float(digits.replace(",", "."))
    raise BadRecord("wrong_type", f"{name} is {text[:MAX_NUMBER_LENGTH]!r}, which is not a number")
