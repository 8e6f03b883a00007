"""The parameters of a request, read by their types: whatever does not fit is told with its name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from serving.http.problems import Problem
from streams.events.bounds import MAX_ID_LENGTH, BadRecord, check_id, check_owner

MAX_FIELDS = 300
MAX_K = 200
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""An identifier: what `streams.events.bounds.check_id` lets through."""
_AT = re.compile(r" - at `\$\.?(\w*)")
_OWNERS = frozenset({"user_id"})


class NoQuery(msgspec.Struct):
    """An operation without parameters in its query."""


def path_parameter(name: str, raw: str) -> str:
    """An id from a path, which comes percent-encoded: an id may hold a slash."""
    try:
        value = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Problem("invalid-parameter", "not UTF-8", field=name) from None
    try:
        return check_owner(name, value) if name in _OWNERS else check_id(name, value)
    except BadRecord as bad:
        raise Problem("invalid-parameter", bad.detail, field=name) from None


def read_query(raw: bytes, kind: type[msgspec.Struct]) -> Any:
    """The parameters of a query string. Raises `Problem` on one that is unknown, given twice, or out of bounds."""
    if not raw:
        return kind()
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem("malformed", f"the query: {error}") from None
    found: dict[str, Any] = {}
    lists = _lists(kind)
    for name, value in pairs:
        if name not in kind.__struct_fields__:
            raise Problem("invalid-parameter", "no such parameter", field=name[:100])
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem("invalid-parameter", "given more than once", field=name)
        else:
            found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _AT.search(text)
        raise Problem("invalid-parameter", text[: at.start()] if at else text, field=at[1] if at else None) from None


@lru_cache(maxsize=64)
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may be repeated."""
    told = {one.name: msgspec.inspect.type_info(one.type) for one in msgspec.structs.fields(kind)}
    inner = {name: type_.type if isinstance(type_, msgspec.inspect.Metadata) else type_ for name, type_ in told.items()}
    return frozenset(name for name, type_ in inner.items() if isinstance(type_, msgspec.inspect.ListType))
