"""Decoding Ouzel's format, other systems' formats and a user's own format.

Anything else is a `BadRecord` with a reason.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.decoding import NOW, decode, event, events

from streams.events import aliases
from streams.events.bounds import MAX_EVENTS
from streams.events.checks import NO_ITEM
from streams.events.decode import BadRecord, Deletion, EventDecoder, event_key
from streams.events.records import EVENT_TYPES, Event


def test_a_minimal_event_gets_the_defaults() -> None:
    assert event(item_id="a", user_id="u") == Event(event_id="t-2-7", item_id="a", user_id="u", timestamp=NOW)


@pytest.mark.parametrize(
    ("given_", "milliseconds"),
    [
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000.5, 1_700_000_000_500),
        (1_700_000_000_123_456, 1_700_000_000_123),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("2023-11-15T00:13:20.250+02:00", 1_700_000_000_250),
        ("1700000000", 1_700_000_000_000),
        (0, 0),
        (100_000_000_000, 100_000_000_000),
        (1_000_000_000_000_000, 1_000_000_000_000),
        (NOW + 300_000, NOW + 300_000),
        (None, NOW),
    ],
)
def test_times_of_every_format(given_: Any, milliseconds: int) -> None:
    assert event(item_id="a", user_id="u", timestamp=given_).timestamp == milliseconds


def test_ids_may_be_integers() -> None:
    decoded = event(item_id=12, user_id=7)
    assert (decoded.item_id, decoded.user_id) == ("12", "7")


def test_events_of_other_systems_are_read() -> None:
    otto = event(session=1, aid=2, ts=1_700_000_000_000, type="carts")
    assert (otto.session_id, otto.item_id, otto.event_type) == ("1", "2", "add_to_cart")
    segment = event(
        userId="u",
        type="track",
        event="Order Completed",
        messageId="m",
        timestamp="2023-11-14T22:13:20Z",
        properties={"products": [{"product_id": "p"}]},
    )
    assert (segment.user_id, segment.item_id, segment.event_type, segment.event_id) == ("u", "p", "purchase", "m")
    google = event(
        eventType="detail-page-view",
        visitorId="v",
        eventTime="2023-11-14T22:13:20Z",
        productDetails=[{"product": {"id": "p"}, "quantity": 2}],
    )
    assert (google.user_id, google.item_id, google.event_type, google.quantity) == ("v", "p", "view", 2.0)
    ga4 = event(event_name="view_item", user_pseudo_id="x.1", event_timestamp=1_700_000_000_123_456, items=[{"item_id": "p"}])
    assert (ga4.user_id, ga4.session_id, ga4.item_id, ga4.timestamp) == ("x.1", None, "p", 1_700_000_000_123)


def test_the_id_of_a_browser_is_the_user_id_of_an_unknown_user() -> None:
    known = event(anonymousId="browser", userId="u", item_id="a")
    assert (known.user_id, known.session_id) == ("u", None)
    unknown = event(anonymousId="browser", sessionId="s", item_id="a")
    assert (unknown.user_id, unknown.session_id) == ("browser", "s")


def test_ouzels_names_take_precedence_over_aliases() -> None:
    assert event(item_id="ours", aid="theirs", user_id="u").item_id == "ours"


def test_an_alias_with_another_kind_of_value_is_ignored() -> None:
    decoded = event(item_id="a", user_id="u", session={"id": 1}, event={"id": "x"}, value=True, items=[], productDetails=7)
    assert decoded == Event(event_id="t-2-7", item_id="a", user_id="u", timestamp=NOW)


def test_ga4_export_rows_are_read() -> None:
    decoded = event(
        event_name="add_to_cart",
        event_timestamp="1700000000123456",
        user_id="u",
        user_pseudo_id="x.1",
        event_params=[{"key": "page", "value": {"string_value": "p"}}, {"key": "item_id", "value": {"int_value": 31}}],
        ecommerce={"items": []},
    )
    assert (decoded.item_id, decoded.event_type, decoded.timestamp) == ("31", "add_to_cart", 1_700_000_000_123)
    layer = events(event="purchase", user_id="u", ecommerce={"currency": "EUR", "items": [{"item_id": "p"}, {"item_id": "q"}]})
    assert [(line.item_id, line.event_type, line.currency) for line in layer] == [
        ("p", "purchase", "EUR"),
        ("q", "purchase", "EUR"),
    ]


@pytest.mark.parametrize("name", ["view_item", "VIEW_ITEM", "Product Viewed", "detail-page-view"])
def test_event_type_may_have_another_systems_value(name: str) -> None:
    assert event(item_id="a", user_id="u", event_type=name).event_type == "view"


def test_a_mapped_field_is_read_from_its_path_only() -> None:
    decoder = EventDecoder({"item_id": "product.sku"})
    for fields in ({"item_id": "a"}, {"aid": "a"}, {"product": None}, {"product": [1]}, {"product": {"sku": None}}):
        with pytest.raises(BadRecord, match="missing_field: item_id"):
            event(decoder, user_id="u", **fields)
    assert event(EventDecoder({"item_id": "a.10.007"}), user_id="u", a={"10": {"007": "bond"}}).item_id == "bond"


def test_the_key_is_the_user_id_or_else_the_session_id() -> None:
    assert event_key(event(item_id="a", user_id="ü", session_id="s")) == "ü".encode()
    assert event_key(event(item_id="a", session_id="s")) == b"s"


def test_a_record_without_kafka_time_needs_a_timestamp() -> None:
    with pytest.raises(BadRecord, match="missing_field"):
        EventDecoder().decode(b"k", b'{"item_id":1,"user_id":2}', topic="t", partition=0, offset=0, timestamp_ms=-1)


def test_a_mapping_reads_a_users_own_format() -> None:
    decoder = EventDecoder({"user_id": "who.uid", "item_id": "product.0.sku", "timestamp": "ts"})
    decoded = event(decoder, who={"uid": "u"}, product=[{"sku": "s"}], ts=1_700_000_000, item_id="not this")
    assert (decoded.user_id, decoded.item_id, decoded.timestamp) == ("u", "s", 1_700_000_000_000)
    with pytest.raises(ValueError, match="sku is not a field"):
        EventDecoder({"sku": "x"})


def test_null_is_a_deletion_with_a_key_and_rejected_without_one() -> None:
    assert decode(None, key=b"ann").deletion == Deletion("ann")
    for key, reason in ((None, "null"), (b"", "null"), (b"\xff", "not_utf8")):
        with pytest.raises(BadRecord) as caught:
            decode(None, key=key)
        assert caught.value.reason == reason


names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=50).filter(lambda name: name not in NO_ITEM)
numbers = st.none() | st.floats(-1e12, 1e12)
objects = st.none() | st.dictionaries(names, st.integers(0, 9) | names | st.lists(numbers, max_size=2), max_size=3)


# In a fresh clone the first run is slow: hypothesis builds its tables of characters.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        Event,
        event_id=names,
        item_id=names,
        user_id=names,
        session_id=st.none() | names,
        timestamp=st.integers(100_000_000_000, NOW),
        event_type=st.sampled_from(list(EVENT_TYPES)),
        price=numbers,
        quantity=numbers,
        event_value=numbers,
        currency=st.none() | st.sampled_from(["EUR", "JPY"]),
        recommendation_id=st.none() | names,
        context=objects,
        properties=objects,
    )
)
def test_an_encoded_event_decodes_to_an_equal_one(sent: Event) -> None:
    assert list(decode(msgspec.json.encode(sent)).events) == [sent]


@pytest.mark.parametrize(
    ("value", "mapping"),
    [
        (b'{"user_id": "u", "items": [' + b"1," * 400_000 + b"1]}", {}),
        (b'{"user_id": "u", "events": [' + b"{}," * 300_000 + b"{}]}", {}),
        (b'{"user_id": "u", "events": [' + b",".join([b'{"items": [' + b"1," * 900 + b"1]}"] * 500) + b"]}", {}),
        (b'{"user_id": "u", "lines": [' + b"1," * 400_000 + b"1]}", {"item_id": "lines.*"}),
    ],
    ids=["products", "events", "products of events", "mapped"],
)
def test_a_record_of_many_events_is_refused_before_they_are_made(
    value: bytes, mapping: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed batch may have a hundred such records, and the worker's loop waits for each."""
    made, fields = 0, aliases._fields

    def counted(*arguments: Any) -> Any:
        nonlocal made
        made += 1
        return fields(*arguments)

    monkeypatch.setattr(aliases, "_fields", counted)
    with pytest.raises(BadRecord, match="more than 256 events"):
        decode(value, EventDecoder(mapping))
    assert made <= MAX_EVENTS + 1
