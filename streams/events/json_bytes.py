"""Decodes JSON from bytes within the bounds, or raises `BadRecord` with the reason. Pure."""

from __future__ import annotations

import msgspec

from streams.events.bounds import MAX_DEPTH, BadRecord, JsonObject, check_tree, kind_of

BOM = b"\xef\xbb\xbf"
FRAME = 5
"""Length of what a schema registry's serializer writes before the value."""
_decode = msgspec.json.Decoder().decode


def json_object(value: bytes) -> JsonObject:
    """Decode a JSON object of at most `MAX_DEPTH` + 1 levels. Raises `BadRecord`.

    Before it, there may be a byte order mark, or the zero byte and the four bytes of a schema's id
    that serializers of a schema registry write. The object may be in a JSON text: some producers
    encode twice.
    """
    if value[:1] == b"\0" and value[FRAME : FRAME + 1] == b"{":
        value = value[FRAME:]
    decoded = json_value(value.removeprefix(BOM))
    if isinstance(decoded, str) and decoded.startswith("{"):
        decoded = json_value(decoded.encode())
    if not isinstance(decoded, dict):
        raise BadRecord("not_an_object", f"the record is {kind_of(decoded)}: write an object")
    return decoded


def json_value(value: bytes) -> object:
    """Decode any JSON of at most `MAX_DEPTH` + 1 levels. Raises `BadRecord`."""
    try:
        decoded = _decode(value)
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
    # Few brackets cannot nest too deep. Many may be parts of strings, so only the tree shows it.
    if isinstance(decoded, dict | list) and value.count(b"{") + value.count(b"[") > MAX_DEPTH:
        check_tree("the record", decoded, MAX_DEPTH + 1)
    return decoded
