"""Reads the parameters of a request by their types. An error names the allowed values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from serving.http.problems import Problem
from streams.events.bounds import MAX_ID_BYTES, BadRecord, check_encoded, check_id, check_owner

Q = TypeVar("Q", bound=msgspec.Struct)
MAX_FIELDS = 300
MAX_K = 200
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""An identifier: what `streams.events.bounds.check_id` accepts.

The type counts characters, as JSON Schema does; `path_parameter` and `read_query` count bytes.
"""
_AT = re.compile(r" - at `\$\.?(\w*)")
_OWNERS = frozenset({"user_id"})


class NoQuery(msgspec.Struct):
    """The query of an operation without query parameters."""


def path_parameter(name: str, raw: str) -> str:
    """Decode an id from a path.

    Ids are percent-encoded in paths, because they may contain slashes. Raises `Problem`.
    """
    try:
        value = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Problem("invalid-parameter", "the id is not UTF-8: percent-encode its UTF-8 bytes", field=name) from None
    try:
        return check_owner(name, value) if name in _OWNERS else check_id(name, value)
    except BadRecord as bad:
        raise Problem("invalid-parameter", bad.detail, field=name) from None


def read_query(raw: bytes, kind: type[Q]) -> Q:
    """Read a query string into its type.

    Raises `Problem` if a parameter is unknown, repeated, or out of bounds.
    """
    if not raw:
        return kind()
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem("malformed", f"the query cannot be read: {error}") from None
    values: dict[str, Any] = {}
    lists = _lists(kind)
    for name, value in pairs:
        if name not in kind.__struct_fields__:
            raise Problem("invalid-parameter", _unknown(kind), field=name[:100])
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Problem("invalid-parameter", "the parameter is repeated: send it once", field=name)
        else:
            values[name] = value
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        at = _AT.search(str(error))
        if at is None or at[1] not in values:
            raise Problem("invalid-parameter", str(error)) from None
        raise Problem("invalid-parameter", _invalid(kind, at[1], values[at[1]]), field=at[1]) from None
    for name, value in pairs:
        _check_length(name, value)
    return query


def _check_length(name: str, value: str) -> None:
    try:
        check_encoded(name, value, MAX_ID_BYTES)
    except BadRecord as bad:
        raise Problem("invalid-parameter", bad.detail, field=name) from None


@lru_cache(maxsize=64)
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names of the parameters that may be repeated."""
    types = {field.name: msgspec.inspect.type_info(field.type) for field in msgspec.structs.fields(kind)}
    inner = {name: type_.type if isinstance(type_, msgspec.inspect.Metadata) else type_ for name, type_ in types.items()}
    return frozenset(name for name, type_ in inner.items() if isinstance(type_, msgspec.inspect.ListType))


def _unknown(kind: type[msgspec.Struct]) -> str:
    names = ", ".join(kind.__struct_fields__)
    return f"there is no such parameter; the parameters are {names}" if names else "the operation takes no query parameters"


def _invalid(kind: type[msgspec.Struct], name: str, value: str | list[str]) -> str:
    (schema,) = msgspec.json.schema_components([kind])[1].values()
    sent = f", not {value[:100]!a}" if isinstance(value, str) else ""
    return f"it must be {_allowed(schema['properties'][name])}{sent}"


def _allowed(schema: Mapping[str, Any]) -> str:
    """Return in words which values a parameter's schema allows."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    match schema["type"]:
        case "integer":
            return f"an integer from {schema['minimum']} to {schema['maximum']}"
        case "boolean":
            return "true or false"
        case "array":
            return f"repeated at most {schema['maxItems']} times, each time {_allowed(schema['items'])}"
        case _:
            return f"a text of {schema['minLength']} to {schema['maxLength']} bytes of UTF-8 without control characters"
