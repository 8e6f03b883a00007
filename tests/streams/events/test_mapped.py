"""Paths of the mapping that lead nowhere are reported; filters and tombstones ignore records."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from support.decoding import NOW, decode, event, events

from streams.events.bounds import BadRecord
from streams.events.decode import CANONICAL, Deletion, EventDecoder
from streams.events.event_time import TimeRule
from streams.events.event_types import EventTypes
from streams.events.mapped import FIRST
from streams.events.notes import Kind, Note
from streams.events.records import Event

DEBEZIUM = {
    "user_id": "payload.after.customer_id",
    "item_id": "payload.after.sku",
    "timestamp": "payload.after.created_at",
    "event_type": "payload.after.kind",
    "price": "payload.after.price",
}


def row(op: str = "c", **after: Any) -> dict[str, Any]:
    whole = {"customer_id": 501, "sku": "D1", "created_at": NOW * 1000, "kind": "purchase", "price": 1} | after
    return {"payload": {"before": None, "after": None if op == "d" else whole, "op": op}}


def test_a_path_that_no_event_has_is_reported_once_with_the_fields_there_are() -> None:
    reports: list[str] = []
    decoder = EventDecoder({"item_id": "sku", "price": "product.cost"}, report=reports.append)
    for number in range(3 * FIRST):
        assert number < FIRST or len(reports) == 1
        decode(json.dumps({"sku": "a", "user_id": "u", "cost": 3, "n": number}).encode(), decoder)
    (report,) = reports
    assert report == (
        "field_mapping: price is at product.cost, which none of 1000 events has; one has the fields sku, user_id, cost, n"
    )


def test_a_path_that_one_event_has_is_not_reported() -> None:
    reports: list[str] = []
    decoder = EventDecoder({"item_id": "sku", "price": "product.cost"}, report=reports.append)
    for number in range(2 * FIRST):
        decode(json.dumps({"sku": "a", "user_id": "u", "product": {"cost": 1} if number == 500 else {}}).encode(), decoder)
    assert reports == [] == decoder.mapped.unseen


def test_a_path_is_reported_although_every_event_is_rejected_for_lack_of_it() -> None:
    reports: list[str] = []
    decoder = EventDecoder({"item_id": "product.sku"}, report=reports.append)
    for _ in range(FIRST):
        with pytest.raises(BadRecord, match=r"missing_field: item_id; item_id is at product\.sku") as error:
            decode(b'{"sku": "a", "user_id": "u"}', decoder)
        assert error.value.notes == [Note(Kind.MISSING, "item_id")]
    assert len(reports) == 1


def test_each_mapped_field_that_an_event_lacks_is_noted() -> None:
    decoder = EventDecoder(DEBEZIUM)
    decoded = decode(json.dumps(row(price=None)).encode(), decoder)
    assert [note for note in decoded.notes if note.kind is Kind.MISSING] == [Note(Kind.MISSING, "price")]


def test_ouzels_own_records_are_not_looked_at() -> None:
    decoder = EventDecoder(DEBEZIUM)
    decoder.decode(
        b"k", b'{"item_id": "a", "user_id": "u"}', topic="t", partition=0, offset=0, timestamp_ms=NOW, headers=[CANONICAL]
    )
    assert decoder.mapped.unseen == []


@pytest.mark.parametrize(
    ("only", "value", "passes"),
    [
        ({"payload.op": ["c", "r"]}, row("c"), True),
        ({"payload.op": ["c", "r"]}, row("u"), False),
        ({"payload.op": ["c", "r"]}, row("d"), False),
        ({"op": ["c"]}, row("c"), False),
        ({"op": [None]}, row("c"), True),
        ({"payload.op": ["c"], "payload.after.kind": [3]}, row("c", kind=3), True),
        ({"payload.op": ["c"], "payload.after.kind": [3]}, row("c", kind=4), False),
        ({"payload.after.test": [False, None]}, row("c", test=False), True),
        ({"payload.after.test": [False, None]}, row("c", test=True), False),
        ({"payload.after.kind": ["3"]}, row("c", kind=3), True),
    ],
)
def test_only_records_that_pass_the_filter_are_events(only: Any, value: dict[str, Any], passes: bool) -> None:
    types = EventTypes({"3": "purchase", "4": "view"})
    decoded = decode(json.dumps(value).encode(), EventDecoder(DEBEZIUM, only=only, types=types))
    assert (len(decoded.events), decoded.deletion, decoded.bad) == (int(passes), None, None)


def test_the_filter_sees_what_the_hook_returns() -> None:
    def hook(value: bytes, headers: object) -> list[dict[str, Any]]:
        return [{"item_id": item, "user_id": "u", "op": op} for item, op in json.loads(value)]

    decoder = EventDecoder(hook=hook, only={"op": ["c"]})
    decoded = decode(b'[["a", "c"], ["b", "d"], ["x", "c"]]', decoder)
    assert [one.item_id for one in decoded.events] == ["a", "x"]


def test_a_tombstone_that_means_nothing_deletes_nobody() -> None:
    decoder = EventDecoder(tombstones=False)
    assert decode(None, decoder) == decode(None, decoder, key=None) == ((), None, (), None, "tombstone")
    ours = decoder.decode(b"ann", None, topic="t", partition=0, offset=0, timestamp_ms=NOW, headers=[CANONICAL])
    assert ours.deletion == Deletion("ann")
    assert decode(None, key=b"ann").deletion == Deletion("ann")


def test_a_filter_leaves_plain_events_to_the_general_path() -> None:
    decoder = EventDecoder(only={"channel": ["web"]})
    assert events(decoder, item_id="a", user_id="u") == []
    assert event(decoder, item_id="a", user_id="u", channel="web").item_id == "a"


@pytest.mark.parametrize("at", [0, 35_000, 449_000, NOW, 1_569_888_500, 20_191_001])
@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"times": TimeRule("us")},
        {"times": TimeRule("days")},
        {"times": TimeRule(format="%d.%m.%Y")},
        {"types": EventTypes({"view": "click", "click": None})},
        {"types": EventTypes(every="purchase")},
        {"guests": ["0"]},
        {"mapping": DEBEZIUM, "only": {"op": ["c"]}},
        {"hook": lambda value, headers: None},
    ],
    ids=" ".join,
)
def test_ouzels_own_records_are_read_by_its_own_rules_whatever_the_settings_are(at: int, rules: dict[str, Any]) -> None:
    sent = Event(event_id="e", item_id="a", user_id="0", timestamp=at, event_type="click")
    value = msgspec.json.encode(sent)
    for written in (value, value[:-1] + b',"more":1}'):
        place: Any = {"topic": "t", "partition": 0, "offset": 0, "timestamp_ms": NOW}
        assert EventDecoder(**rules).decode(b"k", written, headers=[CANONICAL], **place).events[0] == sent
