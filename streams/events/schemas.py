"""JSON Schemas of the records on Ouzel's topics.

`python -m streams.events.schemas` writes them to docs/schemas.

The schemas of events and items describe what users may send: they have the bounds that decoding
checks, and fields that decoding fills in are optional. Pure, except for writing the files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from streams.events.bounds import MAX_CURRENCY_LENGTH, MAX_ID_LENGTH, MAX_NUMBER, RESERVED_ID, JsonObject
from streams.events.catalogue import MAX_LABEL_LENGTH, MAX_LABELS, MAX_NAME_LENGTH
from streams.events.event_time import LATEST
from streams.events.records import EVENT_TYPES, Event, Item, Recommendation, Transition

RECORDS: dict[str, type[msgspec.Struct]] = {
    "event": Event,
    "item": Item,
    "recommendation": Recommendation,
    "transition": Transition,
}
FOLDER = Path("docs/schemas")

_NO_CONTROL = {"pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"}
_LONG = 10**30 - 1


def _text(longest: int, shortest: int = 0) -> JsonObject:
    return {"type": "string"} | ({"minLength": shortest} if shortest else {}) | {"maxLength": longest} | _NO_CONTROL


_ID = {"anyOf": [_text(MAX_ID_LENGTH, 1), {"type": "integer", "minimum": -_LONG, "maximum": _LONG}]}
_OWNER = _ID | {"not": {"const": RESERVED_ID}}
_TIME = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": LATEST},
        {"type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-"},
        {"type": "string", "pattern": r"^[0-9]{9,18}(\.[0-9]{1,9})?$"},
    ]
}
_NUMBER = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
_CURRENCY, _LABEL, _NAME = _text(MAX_CURRENCY_LENGTH), _text(MAX_LABEL_LENGTH), _text(MAX_NAME_LENGTH)

SENT: dict[str, dict[str, JsonObject]] = {
    "event": {
        "event_id": _ID | {"description": "Default: topic-partition-offset."},
        "item_id": _ID,
        "timestamp": _TIME | {"description": "Event time: epoch ms, s or us, or ISO 8601. Default: the record's Kafka time."},
        "user_id": _OWNER,
        "session_id": _OWNER,
        "event_type": {"enum": [*EVENT_TYPES, None], "default": "view"},
        "event_value": _NUMBER,
        "quantity": _NUMBER,
        "price": _NUMBER,
        "currency": _CURRENCY,
        "recommendation_id": _ID,
    },
    "item": {
        "item_id": _ID,
        "item_name": _NAME,
        "categories": {"type": "array", "items": _LABEL, "maxItems": MAX_LABELS},
        "brand": _LABEL,
        "price": _NUMBER,
        "currency": _CURRENCY,
        "is_hidden": {"type": "boolean"},
        "created_at": _TIME | {"description": "Epoch ms, s or us, or ISO 8601."},
        "labels": {
            "type": "object",
            "propertyNames": _text(MAX_ID_LENGTH, 1),
            "additionalProperties": _NAME,
            "maxProperties": MAX_LABELS,
        },
    },
}
"""The schemas of fields whose accepted values differ from the type of Ouzel's field."""


def schemas() -> dict[str, str]:
    """Return the contents of each schema by file name."""
    return {f"{name}.json": json.dumps(_schema(name), indent=2) + "\n" for name in RECORDS}


def sent_schema(name: str) -> JsonObject:
    """Return the schema of an ``event`` or ``item`` that users send, without a file's frame."""
    body: JsonObject = _schema(name)["$defs"][RECORDS[name].__name__]
    return body


def _schema(name: str) -> JsonObject:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(RECORDS[name])
    body = schema["$defs"][RECORDS[name].__name__]
    properties = body["properties"]
    for field, sent in SENT.get(name, {}).items():
        properties[field] = sent if field == "item_id" or "default" in sent else _or_null(sent)
    if name in SENT:
        body["required"] = ["item_id"]
    if name == "event":
        body["anyOf"] = [{"required": [owner], "properties": {owner: _OWNER}} for owner in ("user_id", "session_id")]
    return schema


def _or_null(sent: JsonObject) -> JsonObject:
    choices = sent.get("anyOf") or [sent]
    rest = {name: value for name, value in sent.items() if name in ("description", "not")}
    return {"anyOf": [*choices, {"type": "null"}], "default": None} | rest


def main(folder: Path = FOLDER) -> None:
    """Write every schema into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
