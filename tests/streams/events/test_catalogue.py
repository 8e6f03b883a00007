"""The catalogue: the latest valid record of every item."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.events.bounds import REASONS, BadRecord
from streams.events.catalogue import Catalogue, decode_item
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
    before = catalogue.hidden
    put(catalogue, item_id="a", is_hidden=True)
    put(catalogue, item_id="b", is_hidden=True)
    assert catalogue.hidden == {"a", "b"}
    assert before == frozenset()
    put(catalogue, item_id="a", is_hidden=False)
    assert catalogue.hidden == {"b"}
    catalogue.apply(b"b", None)
    assert (catalogue.hidden, len(catalogue)) == (frozenset(), 1)
    catalogue.apply(b"never there", None)
    put(catalogue, item_id="b")
    assert catalogue.hidden == frozenset()


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
        ("missing_field", b"a", b'{"item_name": "a"}'),
        ("out_of_bounds", b"other", b'{"item_id": "a"}'),
        ("out_of_bounds", b"", b'{"item_id": ""}'),
        ("out_of_bounds", b"a", b'{"item_id": "a", "item_name": "\\u001b[2J"}'),
        ("out_of_bounds", b"a", b'{"item_id": "a", "price": 1e300}'),
        ("out_of_bounds", b"a", b'{"item_id": "a", "currency": "much too long"}'),
        ("out_of_bounds", b"a", json.dumps({"item_id": "a", "categories": ["c"] * 65}).encode()),
        ("out_of_bounds", b"a", json.dumps({"item_id": "a", "labels": {"": "x"}}).encode()),
        ("wrong_type", b"a", b'{"item_id": "a", "categories": "cups"}'),
        ("wrong_type", b"a", b'{"item_id": "a", "categories": [1]}'),
        ("wrong_type", b"a", b'{"item_id": "a", "labels": []}'),
        ("wrong_type", b"a", b'{"item_id": "a", "labels": {"x": 1}}'),
        ("wrong_type", b"a", b'{"item_id": "a", "is_hidden": "yes"}'),
        ("wrong_type", b"a", b'{"item_id": "a", "price": "3"}'),
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
    assert (catalogue.name("a"), catalogue.hidden, len(catalogue)) == ("Mug", {"a"}, 1)


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
