"""Items in the formats of other systems, and fields that are written in many ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.events.bounds import BadRecord
from streams.events.hiding import is_hidden_at
from streams.events.item_aliases import (
    FURTHER_CATEGORIES,
    HIDDEN_IF_TRUE,
    HIDDEN_STATUS,
    ITEM_ALIASES,
    SHOWN_IF_TRUE,
    STATUS,
)
from streams.events.item_keys import id_of_key
from streams.events.items import MAX_LABELS, decode_item, item_of, json_item, read_item
from streams.events.records import Item


def test_gorse_items_are_read() -> None:
    sample = {
        "ItemId": "vuejs:vue", "IsHidden": True, "Categories": ["javascript"], "Timestamp": "2022-11-20T13:55:27Z",
        "Labels": ["javascript", "frontend"], "Comment": "The progressive framework",
    }  # fmt: skip
    assert item_of(sample) == Item(
        item_id="vuejs:vue", item_name="The progressive framework", categories=["javascript"], is_hidden=True,
        created_at=1_668_952_527_000, labels={"javascript": "", "frontend": ""},
    )  # fmt: skip


def test_google_retail_products_are_read() -> None:
    sample = {
        "name": "projects/1/locations/global/catalogs/default_catalog/branches/0/products/1234", "id": "1234", "type": "PRIMARY",
        "title": "ABC sneakers", "categories": ["Shoes & Accessories > Shoes"], "brands": ["ABC", "XYZ"],
        "priceInfo": {"currencyCode": "USD", "price": 100, "originalPrice": 200, "cost": 50}, "availability": "IN_STOCK",
        "availableQuantity": 50, "availableTime": "2023-11-14T22:13:20Z", "expireTime": "2024-11-14T22:13:20.5Z",
        "publishTime": "2022-11-14T22:13:20Z", "attributes": {"vendor": {"text": ["v1"]}},
    }  # fmt: skip
    assert item_of(sample) == Item(
        item_id="1234", item_name="ABC sneakers", categories=["Shoes & Accessories > Shoes"], brand="ABC", price=100.0,
        currency="USD", stock=50.0, available_from=1_700_000_000_000, expires_at=1_731_622_400_500,
        created_at=1_668_464_000_000,
    )  # fmt: skip


def test_items_of_amazon_personalize_are_read() -> None:
    sample = {
        "itemId": "B01",
        "properties": '{"price": "12.99", "categoryL1": "Books", "categoryL2": "Crime, Thriller", '
        '"creationTimestamp": 1700000000}',
    }
    expected = Item(item_id="B01", price=12.99, categories=["Books", "Crime, Thriller"], created_at=1_700_000_000_000)
    assert item_of(sample) == expected
    row = {
        "ITEM_ID": "B01",
        "PRICE": 12.99,
        "CATEGORY_L1": "Books",
        "CATEGORY_L2": "Crime, Thriller",
        "CREATION_TIMESTAMP": 1700000000,
    }
    assert item_of(row) == expected
    films = {"itemId": "tt1", "properties": {"genres": "Drama|Comedy", "isHidden": "1", "id": "another"}}
    assert item_of(films) == Item(item_id="tt1", categories=["Drama", "Comedy"], is_hidden=True)


def test_products_of_segment_and_ga4_are_read() -> None:
    segment = {
        "product_id": "507f1f77bcf8", "sku": "G-32", "category": "Clothing, Shoes & Jewelry", "name": "Monopoly: 3rd Edition",
        "brand": "Hasbro", "price": 18.99, "quantity": 1, "currency": "usd",
    }  # fmt: skip
    assert item_of(segment) == Item(
        item_id="507f1f77bcf8", item_name="Monopoly: 3rd Edition", categories=["Clothing, Shoes & Jewelry"], brand="Hasbro",
        price=18.99, currency="usd",
    )  # fmt: skip
    ga4 = {
        "item_id": "SKU_12345", "item_name": "Stan and Friends Tee", "item_brand": "Google", "item_category": "Apparel",
        "item_category2": "Adult", "item_category3": "Shirts", "price": 10.01, "quantity": 3,
    }  # fmt: skip
    assert item_of(ga4) == Item(
        item_id="SKU_12345", item_name="Stan and Friends Tee", categories=["Apparel", "Adult", "Shirts"],
        brand="Google", price=10.01,
    )  # fmt: skip


def test_items_of_retailrocket_are_read() -> None:
    sample = {"itemid": 460429, "categoryid": 1338, "available": "0"}
    assert item_of(sample) == Item(item_id="460429", categories=["1338"], available=False)


@pytest.mark.parametrize(
    ("key", "fields", "expected", "dropped"),
    [
        (b"A1", {"item_id": "A1", "item_name": "Mug", "categories": ["kitchen"]},
         Item(item_id="A1", item_name="Mug", categories=["kitchen"]), []),
        (b'"A2"', {"item_id": "A2", "is_hidden": True}, Item(item_id="A2", is_hidden=True), []),
        (b'"A2"', {"is_hidden": True}, Item(item_id="A2", is_hidden=True), []),
        (b"A3", {"item_id": "A3", "categories": "Books|Fiction", "is_hidden": True},
         Item(item_id="A3", categories=["Books", "Fiction"], is_hidden=True), []),
        (b"A4", {"item_id": "A4", "is_hidden": 1}, Item(item_id="A4", is_hidden=True), []),
        (b"A5", {"item_id": "A5", "is_hidden": "true"}, Item(item_id="A5", is_hidden=True), []),
        (b"A6", {"item_id": "A6", "price": "9.99", "is_hidden": True}, Item(item_id="A6", price=9.99, is_hidden=True), []),
        (b"A7", {"ItemId": "A7", "IsHidden": True, "Categories": ["x"], "Labels": ["a", "b"], "Timestamp": "2024-01-01"},
         Item(item_id="A7", categories=["x"], is_hidden=True, labels={"a": "", "b": ""}, created_at=1_704_067_200_000), []),
        (b"A8", {"id": "A8", "title": "Shoe", "categories": ["Apparel > Shoes"], "availability": "OUT_OF_STOCK"},
         Item(item_id="A8", item_name="Shoe", categories=["Apparel > Shoes"], available=False), []),
        (b"A9", {"item_id": "A9", "labels": ["a", "b"], "is_hidden": True},
         Item(item_id="A9", labels={"a": "", "b": ""}, is_hidden=True), []),
        (b"\0\0\0\x0a", {"item_id": 10, "is_hidden": True}, Item(item_id="10", is_hidden=True), []),
        (b"\0\0\0\x0a", {"is_hidden": True}, Item(item_id="10", is_hidden=True), []),
        (b"13", {"item_id": "13", "categories": [["a", "b"], "c"], "is_hidden": True},
         Item(item_id="13", categories=["a", "b", "c"], is_hidden=True), []),
        (b"15", {"item_id": "15", "created_at": "01/02/2024", "is_hidden": True}, Item(item_id="15", is_hidden=True),
         ["created_at"]),
    ],
)  # fmt: skip
def test_items_that_were_refused_whole_are_taken_and_hidden(
    key: bytes, fields: dict[str, Any], expected: Item, dropped: list[str]
) -> None:
    item, problems = read_item(json_item(json.dumps(fields).encode()), id_of_key(key))
    assert (item, list(problems)) == (expected, dropped)
    assert is_hidden_at(item, 1_800_000_000_000) == (item.item_id != "A1")


def test_own_names_take_precedence_and_a_null_or_empty_field_is_absent() -> None:
    fields = {
        "item_id": "a",
        "id": "b",
        "item_name": None,
        "title": "Mug",
        "is_hidden": False,
        "hidden": True,
        "price": "",
        "brand": "",
    }
    assert item_of(fields) == Item(item_id="a", item_name="Mug")
    assert item_of({"item_id": None, "Product-ID": 7, "properties": {"name": "inner"}, "name": "outer"}).item_name == "outer"


def test_a_category_may_be_json_text_and_an_unreadable_one_is_dropped() -> None:
    for written in ('["x", "y"]', "x| y|", ["x", "y"]):
        assert item_of({"item_id": "a", "category": written}).categories == ["x", "y"]
    item, dropped = read_item({"item_id": "a", "category": "[1,", "hidden": 1})
    assert (item, list(dropped)) == (Item(item_id="a", is_hidden=True), ["categories"])


def test_an_alias_of_another_type_is_another_thing() -> None:
    fields = {
        "item_id": "a",
        "title": {"en": "Mug"},
        "category": {"id": 1},
        "priceInfo": "free",
        "properties": [1],
        "availability": [],
    }
    assert read_item(fields) == (Item(item_id="a"), {})


def test_the_aliases_are_of_fields_that_exist() -> None:
    assert set(ITEM_ALIASES) == set(Item.__struct_fields__)
    assert set(FURTHER_CATEGORIES) <= set(ITEM_ALIASES["categories"])


@pytest.mark.parametrize("name", ["is_hidden", "isHidden", "IsHidden", "IS_HIDDEN", "is-hidden", "Is Hidden", "hidden", "Hidden"])
@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "true", "TRUE", "yes", " True "])
def test_is_hidden_is_obeyed_in_every_spelling(name: str, value: object) -> None:
    assert item_of({"item_id": "a", name: value}).is_hidden


@pytest.mark.parametrize("name", ["is_hidden", "hidden"])
@pytest.mark.parametrize("value", [2, "maybe", "null", [], [True], {}, {"value": True}])
def test_an_item_is_hidden_if_it_is_unreadable_whether_it_is(name: str, value: object) -> None:
    item, dropped = read_item({"item_id": "a", name: value, "item_name": "Mug"})
    assert (item.is_hidden, item.item_name, list(dropped)) == (True, "Mug", ["is_hidden"])
    with pytest.raises(BadRecord, match=r"is_hidden is .*: write true or false"):
        item_of({"item_id": "a", name: value})


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"active": False}, True), ({"isActive": "0"}, True), ({"enabled": "no"}, True), ({"Visible": 0}, True),
        ({"is_published": False}, True), ({"published": "2024-01-01"}, False), ({"deleted": True}, True),
        ({"is_archived": "yes"}, True), ({"disabled": 1}, True), ({"active": True, "deleted": 0}, False),
        ({"properties": {"active": False}}, True), ({"status": "draft"}, True), ({"status": "ARCHIVED"}, True),
        ({"status": "active"}, False), ({"catalog_visibility": "hidden"}, True), ({"status": 1}, False),
        ({"active": False, "is_hidden": False}, False), ({"active": "perhaps"}, False),
    ],
)  # fmt: skip
def test_the_flags_of_shops_hide_an_item_that_says_nothing_about_is_hidden(fields: dict[str, Any], hidden: bool) -> None:
    item, dropped = read_item({"item_id": "a"} | fields)
    assert (item.is_hidden, dropped) == (hidden, {})


@pytest.mark.parametrize(
    "value", [False, 0, "0", "false", "no", "OUT_OF_STOCK", "out of stock", "sold-out", "https://schema.org/OutOfStock"]
)
def test_an_item_is_not_available_in_every_spelling(value: object) -> None:
    assert not item_of({"item_id": "a", "availability": value}).available


@pytest.mark.parametrize(
    "value", [True, 1, "true", "IN_STOCK", "in stock", "PREORDER", "backorder", "http://schema.org/InStock", "", None]
)
def test_what_can_be_ordered_is_available(value: object) -> None:
    assert item_of({"item_id": "a", "availability": value}).available


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("item_name", {}, None), ("item_name", "\x1b[2J", None), ("item_name", "x" * 1025, None), ("item_name", True, None),
        ("item_name", 10**400, None),
        ("categories", 7, []), ("categories", {}, []), ("categories", "[1,", []),
        ("categories", ["a", {}, "b", "\x00"], ["a", "b"]), ("categories", [["a", ["b"]], "c"], ["a", "c"]),
        ("categories", ["c"] * 65, ["c"] * 64),
        ("brand", {}, None), ("brand", [True], None), ("price", "cheap", None), ("price", 1e300, None), ("price", [], None),
        ("currency", "much too long", None), ("currency", 978, None), ("available", "perhaps", True), ("available", " ", True),
        ("stock", "plenty", None), ("available_from", "soon", None), ("expires_at", "31/12/2099", None), ("expires_at", 0, None),
        ("expires_at", 86_400, None), ("created_at", True, None),
        ("created_at", 5, None), ("available_from", "1970-01-02", None),
        ("labels", 7, {}), ("labels", "{", {}), ("labels", {"": "x", "a": "b"}, {"a": "b"}),
        ("labels", {"a": {}, "b": "c"}, {"b": "c"}),
        ("labels", {str(number): "x" for number in range(65)}, {str(number): "x" for number in range(64)}),
        ("labels", ["a", []], {"a": ""}), ("properties", "{", None), ("properties", '{"price": 1} 2', None),
    ],
)  # fmt: skip
def test_an_optional_field_that_is_unreadable_is_dropped_and_named(field: str, value: object, kept: object) -> None:
    item, dropped = read_item({"item_id": "a", "is_hidden": 1, field: value})
    assert (list(dropped), item.is_hidden) == ([field], True)
    assert dropped[field].detail.startswith(field)
    expected: dict[str, Any] = {} if field == "properties" else {field: kept}
    assert item == Item(item_id="a", is_hidden=True, **expected)
    with pytest.raises(BadRecord):
        item_of({"item_id": "a", field: value})


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("item_name", 1984, "1984"), ("item_name", 7.5, "7.5"), ("brand", ["Ann", "Bob"], "Ann"), ("brand", [], None),
        ("categories", ["a", None, "", 7], ["a", "7"]), ("categories", "a, b", ["a", "b"]), ("categories", '["a"]', ["a"]),
        ("price", "1,299.00", 1299.0), ("price", "18,99 €", 18.99), ("stock", "3", 3.0),
        ("expires_at", "2033-05-18T03:33:20Z", 2_000_000_000_000), ("expires_at", 2_000_000_000, 2_000_000_000_000),
        ("labels", {"a": 1, "b": True, "c": ["x", "y"], "d": None}, {"a": "1", "b": "true", "c": "x|y"}),
        ("labels", '{"a": "b"}', {"a": "b"}), ("labels", "a|b", {"a": "", "b": ""}), ("labels", ["a", 7], {"a": "", "7": ""}),
    ],
)  # fmt: skip
def test_a_field_is_read_however_it_is_written(field: str, value: object, read: object) -> None:
    assert getattr(item_of({"item_id": "a", field: value}), field) == read


def test_at_most_64_labels_count_without_the_nulls() -> None:
    labels = {str(number): None for number in range(100)} | {f"x{number}": "y" for number in range(MAX_LABELS)}
    assert len(item_of({"item_id": "a", "labels": labels}).labels) == MAX_LABELS


def test_the_strict_form_names_the_field() -> None:
    with pytest.raises(BadRecord, match="price is 'cheap', which is not a number"):
        decode_item(json.dumps({"item_id": "a", "price": "cheap"}).encode())


def test_the_page_about_items_lists_every_field_and_every_other_name() -> None:
    page = (Path(__file__).parents[3] / "docs" / "items.md").read_text()
    ranges = {"item_category2", "item_category3", "item_category4", "category_l2"}
    flags = (*SHOWN_IF_TRUE, *HIDDEN_IF_TRUE, *STATUS, *HIDDEN_STATUS)
    names = {
        *Item.__struct_fields__,
        *flags,
        *(name for more in (*ITEM_ALIASES.values(), *FURTHER_CATEGORIES.values()) for name in more),
    }
    assert [name for name in sorted(names - ranges) if f"`{name}`" not in page] == []
