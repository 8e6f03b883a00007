"""The catalogue: the latest valid record of every item."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.events.bounds import REASONS, BadRecord
from streams.events.catalogue import KEY, Catalogue
from streams.events.items import decode_item
from streams.events.records import Item


def put(catalogue: Catalogue, **fields: Any) -> None:
    catalogue.apply(str(fields["item_id"]).encode(), json.dumps(fields).encode())


def test_the_latest_record_replaces_earlier_ones() -> None:
    catalogue = Catalogue()
    put(catalogue, item_id="a", item_name="Mug", categories=["cups"], price=3, labels={"colour": "red"}, colour="ignored")
    assert catalogue.get("a") == Item(item_id="a", item_name="Mug", categories=["cups"], price=3.0, labels={"colour": "red"})
    put(catalogue, item_id="a", item_name="Big mug")
    assert (catalogue.name("a"), len(catalogue)) == ("Big mug", 1)
    assert (catalogue.name("b"), catalogue.get("b")) == ("b", None)
    put(catalogue, item_id="c", item_name=None, categories=None)
    assert catalogue.name("c") == "c"


def test_hidden_items_are_those_of_the_latest_records() -> None:
    catalogue = Catalogue()
    before = catalogue.hidden(0)
    put(catalogue, item_id="a", is_hidden=True)
    put(catalogue, item_id="b", is_hidden=True)
    assert catalogue.hidden(0) == {"a", "b"}
    assert before == frozenset()
    put(catalogue, item_id="a", is_hidden=False)
    assert catalogue.hidden(0) == {"b"}
    catalogue.apply(b"b", None)
    assert (catalogue.hidden(0), len(catalogue)) == (frozenset(), 1)
    catalogue.apply(b"never there", None)
    put(catalogue, item_id="b")
    assert catalogue.hidden(0) == frozenset()


def test_an_integer_id_is_the_same_item_as_its_text() -> None:
    catalogue = Catalogue()
    put(catalogue, item_id=214, item_name="Mug")
    assert catalogue.name("214") == "Mug"


def test_created_at_may_be_iso_8601() -> None:
    assert decode_item(b'{"item_id": "a", "created_at": "2023-11-14T22:13:20Z"}').created_at == 1_700_000_000_000


@pytest.mark.parametrize(
    ("reason", "key", "value"),
    [
        ("null", None, None),
        ("not_utf8", b"\xff", None),
        ("empty", b"a", b""),
        ("not_utf8", b"a", b"\x80\x04pickle"),
        ("invalid_json", b"a", b'{"item_id": "a"'),
        ("not_an_object", b"a", b"null"),
        ("missing_field", None, b'{"item_name": "a"}'),
        ("out_of_bounds", b"", b'{"item_id": ""}'),
        ("wrong_type", b"a", b'{"item_id": [1]}'),
        ("wrong_type", b"a", b'{"ItemId": true}'),
        ("out_of_bounds", b"a", b'{"item_id": "\\u001b[2J"}'),
        ("missing_field", b"\xff", b'{"item_name": "a"}'),
        ("missing_field", b'{"id": "a"}', b'{"item_name": "a"}'),
        ("missing_field", None, b'{"item_name": "a", "properties": {"id": "a"}}'),
        ("not_utf8", b'{"id": "a"}', None),
        ("too_deep", b"a", b"[" * 100_000),
        ("too_large", b"a", b'{"item_id": "a", "x": "' + b"x" * 100_000 + b'"}'),
    ],
)
def test_a_bad_record_has_a_reason_and_changes_nothing(reason: str, key: bytes | None, value: bytes | None) -> None:
    catalogue = Catalogue()
    put(catalogue, item_id="a", item_name="Mug", is_hidden=True)
    with pytest.raises(BadRecord) as caught:
        catalogue.apply(key, value)
    assert caught.value.reason == reason
    assert (catalogue.name("a"), catalogue.hidden(0), len(catalogue)) == ("Mug", {"a"}, 1)


words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
# In a fresh clone the first run is slow: hypothesis builds its tables of characters.
fuzz = settings(suppress_health_check=[HealthCheck.too_slow])


@fuzz
@given(
    st.builds(
        Item,
        item_id=words,
        item_name=st.none() | words,
        categories=st.lists(words, max_size=3),
        brand=st.none() | words,
        price=st.none() | st.floats(0, 1e6),
        currency=st.none() | st.just("EUR"),
        is_hidden=st.booleans(),
        available=st.booleans(),
        stock=st.none() | st.floats(-1e6, 1e6),
        available_from=st.none() | st.integers(100_000_000_000, 1_800_000_000_000),
        expires_at=st.none() | st.integers(946_684_800_000, 1_800_000_000_000),
        created_at=st.none() | st.integers(100_000_000_000, 1_800_000_000_000),
        labels=st.dictionaries(words, words, max_size=3),
    )
)
def test_an_encoded_item_decodes_to_an_equal_one(item: Item) -> None:
    assert decode_item(msgspec.json.encode(item)) == item


@fuzz
@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=60))
def test_random_bytes_are_applied_or_rejected(key: bytes | None, value: bytes | None) -> None:
    reasons = set()
    try:
        Catalogue().apply(key, value)
    except BadRecord as bad:
        reasons.add(bad.reason)
    assert reasons <= set(REASONS)


FIELD_CASES = [
    (
        b"A1",
        {"item_id": "A1", "item_name": "Mug", "categories": ["kitchen"]},
        Item(item_id="A1", item_name="Mug", categories=["kitchen"]),
        [],
    ),
    (b'"A2"', {"item_id": "A2", "is_hidden": True}, Item(item_id="A2", is_hidden=True), []),
    (
        b"A3",
        {"item_id": "A3", "categories": "Books|Fiction", "is_hidden": True},
        Item(item_id="A3", categories=["Books", "Fiction"], is_hidden=True),
        [],
    ),
    (b"A4", {"item_id": "A4", "is_hidden": 1}, Item(item_id="A4", is_hidden=True), []),
    (b"A5", {"item_id": "A5", "is_hidden": "true"}, Item(item_id="A5", is_hidden=True), []),
    (b"A6", {"item_id": "A6", "price": "9.99", "is_hidden": True}, Item(item_id="A6", price=9.99, is_hidden=True), []),
    (
        b"A7",
        {"ItemId": "A7", "IsHidden": True, "Categories": ["x"], "Labels": ["a", "b"], "Timestamp": "2024-01-01"},
        Item(item_id="A7", is_hidden=True, categories=["x"], labels={"a": "", "b": ""}, created_at=1_704_067_200_000),
        [],
    ),
    (
        b"A8",
        {"id": "A8", "title": "Shoe", "categories": ["Apparel > Shoes"], "availability": "OUT_OF_STOCK"},
        Item(item_id="A8", item_name="Shoe", categories=["Apparel > Shoes"], available=False),
        [],
    ),
    (
        b"A9",
        {"item_id": "A9", "labels": ["a", "b"], "is_hidden": True},
        Item(item_id="A9", labels={"a": "", "b": ""}, is_hidden=True),
        [],
    ),
    (b"\0\0\0\x0a", {"item_id": 10, "is_hidden": True}, Item(item_id="10", is_hidden=True), []),
    (
        b"13",
        {"item_id": "13", "categories": [["a", "b"], "c"], "is_hidden": True},
        Item(item_id="13", categories=["a", "b", "c"], is_hidden=True),
        [],
    ),
    (b"15", {"item_id": "15", "created_at": "01/02/2024", "is_hidden": True}, Item(item_id="15", is_hidden=True), ["created_at"]),
]
"""The key and the fields that producers sent, the item, and its dropped fields."""


@pytest.mark.parametrize(("key", "fields", "item", "dropped"), FIELD_CASES)
def test_what_can_be_understood_of_an_item_is_taken_above_all_that_it_is_hidden(
    key: bytes, fields: dict[str, Any], item: Item, dropped: list[str]
) -> None:
    catalogue = Catalogue()
    applied = catalogue.apply(key, json.dumps(fields).encode())
    assert (applied.item_id, list(applied.dropped)) == (item.item_id, dropped)
    assert catalogue.get(item.item_id) == item
    assert catalogue.hidden(0) == (set() if item.item_id == "A1" else {item.item_id})
    assert not catalogue.apply(key, None).dropped
    assert (len(catalogue), catalogue.hidden(0)) == (0, frozenset())


@pytest.mark.parametrize(
    ("key", "item_id"),
    [
        (b"A2", "A2"),
        (b'"A2"', "A2"),
        (b"10", "10"),
        (b"\0\0\0\x0a", "10"),
        (b"\0\0\0\0\0\0\0\x0a", "10"),
        (b"\xff\xff\xff\xf6", "-10"),
    ],
)
def test_an_item_without_an_id_has_the_one_of_its_key(key: bytes, item_id: str) -> None:
    catalogue = Catalogue()
    applied = catalogue.apply(key, b'{"item_name": "Mug", "is_hidden": true}')
    assert (applied.item_id, applied.dropped) == (item_id, {})
    assert catalogue.hidden(0) == {item_id}
    catalogue.apply(item_id.encode(), None)
    assert len(catalogue) == 0, "the id in plain text removes it, too"


def test_an_item_under_another_key_is_taken_reported_and_removed_by_that_key() -> None:
    catalogue = Catalogue()
    applied = catalogue.apply(b"row-7", b'{"item_id": "a", "is_hidden": true}')
    assert (applied.item_id, list(applied.dropped), catalogue.hidden(0)) == ("a", [KEY], {"a"})
    assert catalogue.key("a") == b"row-7", "a new record replaces this one"
    assert list(catalogue.apply(b"row-8", None).dropped) == []
    assert len(catalogue) == 1
    assert list(catalogue.apply(b"row-7", None).dropped) == []
    assert (len(catalogue), catalogue.hidden(0), catalogue.key("a")) == (0, frozenset(), b"a")
    catalogue.apply(b"\xfe\xff", b'{"item_id": "a"}')
    catalogue.apply(b"\xfe\xff", None)
    assert len(catalogue) == 0, "bytes that are no text are a key, too"


def test_a_removal_concerns_the_items_whose_latest_record_had_its_key() -> None:
    catalogue = Catalogue()
    for key, item_id in [(b"old", "a"), (b"new", "a"), (b"shop", "b"), (b"shop", "c"), (b"d", "d")]:
        catalogue.apply(key, json.dumps({"item_id": item_id}).encode())
    catalogue.apply(b"old", None)
    assert catalogue.get("a") is not None, "its latest record has another key"
    assert (catalogue.key("b"), catalogue.key("d")) == (b"b", b"d"), "a record under the shared key would replace the other item"
    catalogue.apply(b"d", b'{"item_id": "e"}')
    assert catalogue.key("e") == b"e", "a record under its latest key would replace an item of that id"
    catalogue.apply(b"shop", None)
    assert (catalogue.get("b"), catalogue.get("c")) == (None, None)
    assert list(catalogue.apply(b"a", None).dropped) == [KEY], "Kafka keeps the record under the other key"
    assert [catalogue.get(item_id) for item_id in "ab"] == [None, None]
    assert catalogue.get("d") is not None


def test_a_key_of_four_printable_bytes_is_text_and_never_removes_an_integer() -> None:
    catalogue = Catalogue()
    number = str(int.from_bytes(b"1234", "big"))
    put(catalogue, item_id=number)
    catalogue.apply(b"1234", None)
    assert catalogue.get(number) is not None
    applied = catalogue.apply(b"1234", json.dumps({"item_id": int(number)}).encode())
    assert not applied.dropped, "its id shows what the key means"
    catalogue.apply(b"1234", None)
    assert catalogue.get(number) is None


nasty = st.sampled_from(
    ["[", "[1,", '["a"]', "{", '{"a": 1}', "a|b", " ", "maybe", "1e999", "2030-01-01", "x" * 2000, "/", "\x00"]
)
json_values: st.SearchStrategy[Any] = nasty | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=8,
)
spellings = st.sampled_from(
    [*Item.__struct_fields__, "ItemId", "id", "IsHidden", "hidden", "title", "category", "item_category", "item_category2",
     "brands", "priceInfo", "availability", "availableQuantity", "expireTime", "properties", "Timestamp", "Comment"]
)  # fmt: skip
objects = st.dictionaries(spellings | st.text(max_size=8), json_values, max_size=8)


@fuzz
@given(st.none() | st.binary(max_size=9), objects | st.builds(lambda fields: {"item_id": "a"} | fields, objects))
def test_any_json_object_is_taken_or_rejected_and_a_rejected_one_changes_nothing(
    key: bytes | None, fields: dict[str, Any]
) -> None:
    catalogue = Catalogue()
    put(catalogue, item_id="a", item_name="Mug", is_hidden=True)
    before = (catalogue.get("a"), len(catalogue), catalogue.hidden(0), catalogue.key("a"))
    try:
        applied = catalogue.apply(key, json.dumps(fields).encode())
    except BadRecord:
        assert fields.get("item_id") != "a", "with an id it is taken"
        assert (catalogue.get("a"), len(catalogue), catalogue.hidden(0), catalogue.key("a")) == before
        return
    assert applied.item_id is not None
    item = catalogue.get(applied.item_id)
    assert item is not None
    assert decode_item(msgspec.json.encode(item)) == item
    assert set(applied.dropped) <= {*Item.__struct_fields__, "properties", KEY} - {"item_id"}
    if "is_hidden" in applied.dropped:
        assert applied.item_id in catalogue.hidden(0)
