"""Decodes JSON from bytes within the bounds, or raises `BadRecord` with the reason.

Also takes objects out of what producers put around them. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.events.bounds import MAX_DEPTH, BadRecord, JsonObject, check_tree, kind_of

BOM = b"\xef\xbb\xbf"
FRAME = 5
"""Length of what a schema registry's serializer writes before the value."""
CONNECT = frozenset({"schema", "payload"})
"""All names of a record that the JSON converter of Kafka Connect writes with a schema."""
CLOUD_EVENT = frozenset({"specversion", "data"})
"""Names that each CloudEvent with data has in its structured form."""
CLOUD_NAMES = {"id": "event_id", "time": "timestamp", "type": "type"}
"""Names of a CloudEvent's envelope and what they mean, if its data do not say it."""
_decode = msgspec.json.Decoder().decode


def events_in(value: bytes, *, unwrap: bool) -> Sequence[JsonObject]:
    """Decode a record. Raises `BadRecord`, also for an array of anything but objects.

    Without ``unwrap``, envelopes stay: the user's mapping has the paths through them.
    """
    several = _objects(value)
    return [_unwrapped(one) for one in several] if unwrap else several


def json_object(value: bytes) -> JsonObject:
    """Decode a JSON object of at most `MAX_DEPTH` + 1 levels. Raises `BadRecord`.

    Before it, there may be a byte order mark, or the zero byte and the four bytes of a schema's id
    that serializers of a schema registry write. The object may be in a JSON text: some producers
    encode twice.
    """
    return _object(_unframed(value), "the record is")


def _object(decoded: object, what: str) -> JsonObject:
    if not isinstance(decoded, dict):
        raise BadRecord("not_an_object", f"{what} {kind_of(decoded)}: write an object")
    return decoded


def _unframed(value: bytes) -> object:
    if value[:1] == b"\0" and value[FRAME : FRAME + 1] in (b"{", b"["):
        value = value[FRAME:]
    decoded = json_value(value.removeprefix(BOM))
    if isinstance(decoded, str) and decoded.startswith(("{", "[")):
        decoded = json_value(decoded.encode())
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


def _objects(value: bytes) -> list[JsonObject]:
    """Decode a JSON object as `json_object` does, or an array of them. Raises `BadRecord`."""
    decoded = _unframed(value)
    if isinstance(decoded, list) and decoded:
        return [_object(one, "the record is a list with") for one in decoded]
    return [_object(decoded, "the record is")]


def _unwrapped(raw: JsonObject) -> JsonObject:
    payload, data = raw.get("payload"), raw.get("data")
    if isinstance(payload, dict) and raw.keys() == CONNECT:
        return payload
    if isinstance(data, dict) and raw.keys() >= CLOUD_EVENT:
        return {ours: raw[name] for name, ours in CLOUD_NAMES.items() if name in raw} | data
    return raw
