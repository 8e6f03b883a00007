"""Events in what producers and other systems put around them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.events.decode import BadRecord, Decoded
from streams.rules import event_decoder
from streams.settings import Settings

NOW = 1_800_000_000_000
AT, AT_TEXT = 1_569_888_500_000, "2019-10-01T00:08:20Z"


def decoded(value: bytes, **settings: Any) -> Decoded:
    return event_decoder(Settings(**settings)).decode(b"k", value, topic="t", partition=0, offset=3, timestamp_ms=NOW)


def seen(raw: object, **settings: Any) -> list[tuple[str | None, str | None, str, str, int]]:
    several = decoded(json.dumps(raw).encode(), **settings).events
    return [(one.user_id, one.session_id, one.item_id, one.event_type, one.timestamp) for one in several]


@pytest.mark.parametrize(
    "raw",
    [
        {"user_id": {"string": "u"}, "item_id": {"long": 7}, "timestamp": {"long": AT}, "event_type": {"string": "buy"}},
        {"userId": {"string": "u"}, "aid": {"int": 7}, "ts": {"double": AT / 1000}, "event": {"string": "purchase"}},
        {"user_id": "u", "item_id": {"$numberLong": "7"}, "timestamp": {"$date": AT_TEXT}, "type": "order"},
        {"user_id": {"$oid": "u"}, "item_id": 7, "created_at": {"$date": {"$numberLong": str(AT)}}, "type": "order"},
        {"user_id": "u", "item_id": 7.0, "timestamp": AT / 1000, "type": "order", "price": {"string": "free"}},
    ],
)
def test_unions_of_avro_and_types_of_mongodb_stand_for_their_values(raw: dict[str, Any]) -> None:
    assert seen(raw) == [("u", None, "7", "purchase", AT)]


def test_an_object_of_several_names_or_of_another_name_is_no_union() -> None:
    for wrong in ({"string": "u", "long": 7}, {"id": "u"}, {"string": {"string": {"string": "u"}}}, {}):
        with pytest.raises(BadRecord, match="user_id is an object: write text or a whole number"):
            seen({"user_id": wrong, "item_id": "i"})
    (event,) = decoded(b'{"user_id": "u", "item_id": "i", "properties": {"string": "x"}}').events
    assert event.properties == {"string": "x"}


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\0\0\0\0\x07"], ids=["byte order mark", "id of a schema"])
def test_what_a_producer_writes_before_the_json_is_skipped(before: bytes) -> None:
    text = json.dumps({"user_id": "u", "item_id": "i", "timestamp": AT})
    for value in (before + text.encode(), json.dumps(text).encode(), before[:3].replace(b"\0", b"") + json.dumps(text).encode()):
        (event,) = decoded(value).events
        assert (event.user_id, event.item_id, event.timestamp) == ("u", "i", AT)


def test_cloud_events_and_records_of_kafka_connect_are_unwrapped() -> None:
    data = {"user_id": "u", "item_id": "i"}
    cloud = {"specversion": "1.0", "type": "purchase", "source": "/shop", "id": "e1", "time": AT_TEXT, "data": data}
    assert seen(cloud) == [("u", None, "i", "purchase", AT)]
    assert decoded(json.dumps(cloud).encode()).events[0].event_id == "e1"
    assert seen(cloud | {"data": data | {"event_type": "view", "timestamp": AT + 5}}) == [("u", None, "i", "view", AT + 5)]
    with pytest.raises(BadRecord, match=r"event_type is .com\.shop\.seen"):
        seen(cloud | {"type": "com.shop.seen"})
    assert seen(cloud | {"type": "com.shop.seen"}, event_types={"com.shop.seen": "view"})[0][3] == "view"
    connect = {"schema": {"type": "struct"}, "payload": data | {"timestamp": AT}}
    assert seen(connect) == [("u", None, "i", "view", AT)]
    mapping = {"user_id": "payload.user_id", "item_id": "payload.item_id", "timestamp": "payload.timestamp"}
    assert seen(connect, field_mapping=mapping) == [("u", None, "i", "view", AT)]


def test_an_array_of_events_is_read_and_a_bad_one_is_told_with_its_number() -> None:
    good = {"user_id": "u", "item_id": "i", "timestamp": AT}
    for several, ids in (([good, good], ["t-0-3", "t-0-3.1"]), ([good, {"user_id": "u"}], ["t-0-3"])):
        result = decoded(json.dumps(several).encode())
        assert [one.event_id for one in result.events] == ids
        assert str(result.bad) == ("None" if len(ids) == 2 else "missing_field: event 2 of 2: item_id")
