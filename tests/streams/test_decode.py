"""Decoding: our shape, other systems' shapes, a user's own shape; and anything else is a `BadRecord` with its reason."""

from __future__ import annotations

import gzip
import json
import pickle
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.decode import REASONS, BadRecord, Deletion, EventDecoder, load_decoder
from streams.records import EVENT_TYPES, Event

NOW = 1_800_000_000_000


def decode(value: bytes | None, decoder: EventDecoder | None = None, key: bytes | None = b"k") -> Event | Deletion:
    return (decoder or EventDecoder()).decode(key, value, topic="t", partition=2, offset=7, timestamp_ms=NOW)


def event(decoder: EventDecoder | None = None, **fields: Any) -> Event:
    found = decode(json.dumps(fields).encode(), decoder)
    assert isinstance(found, Event)
    return found


def test_the_least_event_gets_its_defaults() -> None:
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
        (NOW + 300_000, NOW + 300_000),
        (None, NOW),
    ],
)
def test_times(given_: Any, milliseconds: int) -> None:
    assert event(item_id="a", user_id="u", timestamp=given_).timestamp == milliseconds


def test_ids_may_be_integers() -> None:
    assert event(item_id=12, user_id=0).item_id == "12"


def test_names_of_other_systems_are_read() -> None:
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
    assert (google.session_id, google.item_id, google.event_type, google.quantity) == ("v", "p", "view", 2.0)
    ga4 = event(event_name="view_item", user_pseudo_id="x.1", event_timestamp=1_700_000_000_123_456, items=[{"item_id": "p"}])
    assert (ga4.session_id, ga4.item_id, ga4.timestamp) == ("x.1", "p", 1_700_000_000_123)


def test_our_names_win_over_aliases() -> None:
    assert event(item_id="ours", aid="theirs", user_id="u").item_id == "ours"


def test_a_mapping_reads_a_users_own_shape() -> None:
    decoder = EventDecoder({"user_id": "who.uid", "item_id": "product.0.sku", "timestamp": "ts"})
    found = event(decoder, who={"uid": "u"}, product=[{"sku": "s"}], ts=1_700_000_000, item_id="not this")
    assert (found.user_id, found.item_id, found.timestamp) == ("u", "s", 1_700_000_000_000)
    with pytest.raises(ValueError, match="sku is no field"):
        EventDecoder({"sku": "x"})


def test_a_hook_reads_anything_and_its_errors_are_the_records() -> None:
    def hook(value: bytes, headers: object) -> dict[str, Any]:
        user, item = value.decode().split("|")
        return {"user_id": user, "item_id": item}

    decoder = EventDecoder(hook=hook)
    found = decode(b"ann|mug", decoder)
    assert isinstance(found, Event)
    assert (found.user_id, found.item_id) == ("ann", "mug")
    with pytest.raises(BadRecord, match="decoder_error"):
        decode(b"no bar", decoder)
    assert load_decoder("json:loads") is json.loads
    with pytest.raises(ValueError, match="decoder json:nothing"):
        load_decoder("json:nothing")


BASE = b'{"item_id": "a", "user_id": "u", '
BAD = [
    ("empty", b""),
    ("not_an_object", b"null"),
    ("not_an_object", b"[1]"),
    ("not_an_object", b'"text"'),
    ("not_utf8", b'{"item_id": "\xff"}'),
    ("not_utf8", gzip.compress(b"{}")),
    ("not_utf8", pickle.dumps({"item_id": "a"})),
    ("invalid_json", BASE),
    ("invalid_json", BASE + b'"price": NaN}'),
    ("invalid_json", b"not json"),
    ("missing_field", b"{}"),
    ("missing_field", b'{"item_id": "a"}'),
    ("missing_field", b'{"user_id": "u"}'),
    ("wrong_type", b'{"item_id": ["a"], "user_id": "u"}'),
    ("wrong_type", b'{"item_id": true, "user_id": "u"}'),
    ("wrong_type", BASE + b'"price": "12"}'),
    ("wrong_type", BASE + b'"timestamp": []}'),
    ("wrong_type", BASE + b'"timestamp": "yesterday"}'),
    ("wrong_type", BASE + b'"context": 1}'),
    ("out_of_bounds", b'{"item_id": "", "user_id": "u"}'),
    ("out_of_bounds", b'{"item_id": "%s", "user_id": "u"}' % (b"x" * 257)),
    ("out_of_bounds", b'{"item_id": "a\\u0000b", "user_id": "u"}'),
    ("out_of_bounds", BASE + b'"timestamp": -1}'),
    ("out_of_bounds", BASE + b'"timestamp": 18446744073709551616000}'),
    ("out_of_bounds", BASE + b'"price": 1e300}'),
    ("out_of_bounds", BASE + b'"currency": "a long currency"}'),
    ("unknown_event_type", BASE + b'"event_type": "dance"}'),
    ("timestamp_in_future", BASE + b'"timestamp": "9999-12-31T00:00:00Z"}'),
    ("timestamp_in_future", BASE + b'"timestamp": %d}' % (NOW + 300_001)),
    ("too_deep", BASE + b'"context": ' + b"[" * 100_000),
    ("too_deep", BASE + b'"context": ' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}"),
    ("too_large", BASE + b'"context": {"a": "' + b"x" * 5_000_000 + b'"}}'),
]


@pytest.mark.parametrize(("reason", "value"), BAD, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(BAD)])
def test_a_bad_record_says_why(reason: str, value: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(value)
    assert caught.value.reason == reason
    assert reason in REASONS


def test_null_with_a_key_is_a_deletion_and_without_one_is_bad() -> None:
    assert decode(None, key=b"ann") == Deletion("ann")
    for key, reason in ((None, "null"), (b"", "null"), (b"\xff", "not_utf8")):
        with pytest.raises(BadRecord) as caught:
            decode(None, key=key)
        assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_bad(value: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(value)
    assert caught.value.reason in REASONS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Event.__struct_fields__, "aid", "ts", "items", "type", "userId"]), anything))
def test_no_json_does_anything_but_decode_or_be_bad(fields: dict[str, Any]) -> None:
    with suppress(BadRecord):  # whose reasons are checked by the metric's labels; anything else fails here
        found = decode(json.dumps(fields).encode())
        assert isinstance(found, Event)
        assert found.event_type in EVENT_TYPES


names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=50)
numbers = st.none() | st.floats(-1e12, 1e12)


@given(
    st.builds(
        Event,
        event_id=names,
        item_id=names,
        user_id=names,
        timestamp=st.integers(100_000_000_000, NOW),
        event_type=st.sampled_from(list(EVENT_TYPES)),
        price=numbers,
        quantity=numbers,
        context=st.none() | st.dictionaries(names, st.integers(0, 9) | names, max_size=3),
    )
)
def test_what_we_encode_reads_back_equal(sent: Event) -> None:
    assert decode(msgspec.json.encode(sent)) == sent
