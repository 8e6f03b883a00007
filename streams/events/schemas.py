"""JSON Schemas of the records on Ouzel's topics.

`python -m streams.events.schemas` writes them to docs/schemas.

The schemas of events and items describe what users may send: they have the bounds that decoding
checks, and fields that decoding fills in are optional. Pure, except for writing the files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path

import msgspec

from streams.events.bounds import MAX_CURRENCY_LENGTH, MAX_ID_BYTES, MAX_NUMBER, RESERVED_ID, JsonObject
from streams.events.event_time import LATEST
from streams.events.items import AVAILABLE, EARLIEST, EARLIEST_EXPIRY, MAX_LABEL_BYTES, MAX_LABELS, MAX_NAME_LENGTH, UNAVAILABLE
from streams.events.readings import FALSE, TRUE
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


def _short(most: int, shortest: int = 0) -> JsonObject:
    """Return the schema of a text with a bound in bytes. JSON Schema can only count characters."""
    return _text(most, shortest) | {"description": BYTES.format(most=most)}


BYTES = "At most {most} bytes of UTF-8."
_IN_BYTES = BYTES.format(most=MAX_ID_BYTES)
_ID = {
    "anyOf": [_text(MAX_ID_BYTES, 1), {"type": "integer", "minimum": -_LONG, "maximum": _LONG}],
    "description": _IN_BYTES,
}
_OWNER = _ID | {"not": {"const": RESERVED_ID}}
_TIME = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": LATEST},
        {"type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-"},
        {"type": "string", "pattern": r"^[0-9]{9,18}(\.[0-9]{1,9})?$"},
    ]
}
_NUMBER = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
_CURRENCY, _LABEL, _NAME = _text(MAX_CURRENCY_LENGTH), _short(MAX_LABEL_BYTES), _text(MAX_NAME_LENGTH)


def _words(words: Iterable[str]) -> str:
    """Return the alternatives of a pattern."""
    spelled = (spelling for word in sorted(words) for spelling in (word, word.upper(), word.capitalize()))
    return "|".join(dict.fromkeys(spelled))


_AVAILABILITY = {*TRUE, *FALSE, *AVAILABLE, *UNAVAILABLE} - {""}
_FLAG = [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}]
_WHOLE = r"[0-9]{1,15}([.][0-9]{1,9}|,[0-9]{1,2})?"
_GROUPED = r"[0-9]{1,3}(,[0-9]{3}){1,4}([.][0-9]{1,9})?"
_AMOUNT = {
    "anyOf": [
        _NUMBER,
        {"type": "string", "pattern": f"^(([A-Z]{{3}} ?|[$€£¥])?[+-]?({_WHOLE}|{_GROUPED})( ?[A-Z]{{3}}| ?[$€£¥])?)?$"},
    ]
}
_EMPTY = {"type": "string", "maxLength": 0}
_MOMENT = {
    "anyOf": [
        {"type": "number", "minimum": EARLIEST // 1000, "exclusiveMaximum": LATEST},
        {"type": "string", "format": "date-time", "pattern": "^(19(7[4-9]|[89][0-9])|[2-9][0-9]{3})-"},
        {"type": "string", "pattern": r"^[1-9][0-9]{8,17}(\.[0-9]{1,9})?$"},
        _EMPTY,
    ]
}
_TEXT_LIKE = [_NAME, _NUMBER, {"type": "boolean"}]
_ONE_LABEL = {"anyOf": [_LABEL, _NUMBER, {"type": "null"}]}
_PARTS = r"^(?!\s*[\[{])[^|;,\u0000-\u001f\u007f-\u009f]{0,%d}([|;,][^|;,\u0000-\u001f\u007f-\u009f]{0,%d}){0,%d}$"
_EXPIRY = {
    "anyOf": [
        {"type": "number", "minimum": EARLIEST_EXPIRY // 1000, "exclusiveMaximum": 10**11},  # seconds
        {"type": "number", "minimum": EARLIEST_EXPIRY, "exclusiveMaximum": 10**17},  # milliseconds, microseconds
        {"type": "number", "minimum": EARLIEST_EXPIRY * 10**6, "exclusiveMaximum": LATEST},  # nanoseconds
        {"type": "string", "format": "date-time", "pattern": "^[2-9][0-9]{3}-"},
        {"type": "string", "pattern": r"^[1-9]([0-9]{9,10}|[0-9]{12,16})(\.[0-9]{1,9})?$"},
        _EMPTY,
    ]
}


def _list(entry: JsonObject, longest: int) -> list[JsonObject]:
    """Return the schemas of a list: a JSON list, or a text with separators."""
    return [
        {"type": "array", "items": entry, "maxItems": MAX_LABELS},
        {"type": "string", "pattern": _PARTS % (longest, longest, MAX_LABELS - 1)},
    ]


SENT: dict[str, dict[str, JsonObject]] = {
    "event": {
        "event_id": _ID | {"description": f"{_IN_BYTES} Default: topic-partition-offset."},
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
        "item_name": {"anyOf": [_NAME, _NUMBER]},
        "categories": {
            "anyOf": _list({"anyOf": [*_ONE_LABEL["anyOf"], {"type": "array", "items": _ONE_LABEL}]}, MAX_LABEL_BYTES),
            "description": "A list, or a text with separators such as `Books|Fiction`. A list within it is a path.",
        },
        "brand": {"anyOf": [_LABEL, _NUMBER, {"type": "array", "items": _ONE_LABEL}], "description": "Of a list, the first."},
        "price": _AMOUNT | {"description": "A number, also as text: `18.99`, `1,299.00` or `18,99 €`."},
        "currency": _CURRENCY,
        "is_hidden": {
            "anyOf": [*_FLAG, {"type": "string", "pattern": rf"^\s*({_words(TRUE | FALSE)})\s*$"}],
            "description": "True hides the item. If a record of the topic has an unreadable value, the item is hidden, too.",
        },
        "available": {
            "anyOf": [*_FLAG, {"type": "string", "pattern": rf"^(\s*({_words(_AVAILABILITY)})\s*)?$"}],
            "description": "False hides the item. May be a word such as `OUT_OF_STOCK`. Default: true.",
        },
        "stock": _AMOUNT | {"description": "How many are left. 0 or less hides the item."},
        "available_from": _MOMENT | {"description": "The item is hidden before this time. Epoch ms, s or us, or ISO 8601."},
        "expires_at": _EXPIRY | {"description": "The item is hidden from this time on. Epoch ms, s or us, or ISO 8601."},
        "created_at": _MOMENT | {"description": "Epoch ms, s or us, or ISO 8601."},
        "labels": {
            "anyOf": [
                {
                    "type": "object",
                    "propertyNames": _short(MAX_ID_BYTES, 1),
                    "additionalProperties": {
                        "anyOf": [*_TEXT_LIKE, {"type": "array", "items": {"anyOf": _TEXT_LIKE}}, {"type": "null"}]
                    },
                    "maxProperties": MAX_LABELS,
                },
                *_list({"anyOf": [_LABEL, _NUMBER, {"type": "null"}]}, MAX_LABEL_BYTES),
            ],
            "description": "An object of texts. An entry of a list is the name of a label without a value.",
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
    body["description"] = cleandoc(body["description"])  # Python keeps the indentation before 3.13
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
