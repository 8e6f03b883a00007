"""Decoding Ouzel's format, other systems' formats and a user's own format.

Anything else is a `BadRecord` with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.events.checks import Kind
from streams.events.decode import BadRecord, Decoded, Deletion, EventDecoder, event_key
from streams.events.hook import load_decoder
from streams.events.records import EVENT_TYPES, Event

NOW = 1_800_000_000_000


def decode(value: bytes | None, decoder: EventDecoder | None = None, key: bytes | None = b"k") -> Decoded:
    return (decoder or EventDecoder()).decode(key, value, topic="t", partition=2, offset=7, timestamp_ms=NOW)


def event(decoder: EventDecoder | None = None, **fields: Any) -> Event:
    (only,) = events(decoder, **fields)
    return only


def events(decoder: EventDecoder | None = None, **fields: Any) -> Sequence[Event]:
    return decode(json.dumps(fields).encode(), decoder).events


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


def test_a_hook_decodes_any_format_and_its_errors_are_reasons() -> None:
    def hook(value: bytes, headers: object) -> dict[str, Any]:
        user, item = value.decode().split("|")
        return {"user_id": user, "item_id": item}

    decoder = EventDecoder(hook=hook)
    (decoded,) = decode(b"ann|mug", decoder).events
    assert (decoded.user_id, decoded.item_id) == ("ann", "mug")
    with pytest.raises(BadRecord, match="decoder_error"):
        decode(b"no bar", decoder)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raises(error: Exception) -> Any:
    def hook(value: bytes, headers: object) -> Any:
        raise error

    return hook


round_: list[Any] = []
round_.append(round_)
wide: list[Any] = []
wide.extend([wide] * 100)


@pytest.mark.parametrize(
    ("reason", "hook"),
    [
        ("decoder_error", raises(KeyError("\ud800"))),
        ("decoder_error", raises(Unspeakable())),
        ("decoder_error", raises(RecursionError())),
        ("not_an_object", lambda value, headers: 7),
        ("not_an_object", lambda value, headers: [("item_id", "a")]),
        ("out_of_bounds", lambda value, headers: [{"item_id": "a", "user_id": "u"}] * 257),
        ("missing_field", lambda value, headers: {1: 2}),
        ("unknown_event_type", lambda value, headers: {"item_id": "a", "user_id": "u", "event_type": "\ud800"}),
        ("out_of_bounds", lambda value, headers: {"item_id": "\ud800", "user_id": "u"}),
        ("out_of_bounds", lambda value, headers: {"item_id": 10**5000, "user_id": "u"}),
        ("out_of_bounds", lambda value, headers: {"item_id": "a", "user_id": "u", "timestamp": 10**5000}),
        ("out_of_bounds", lambda value, headers: {"item_id": "a", "user_id": "u", "timestamp": float("nan")}),
        ("wrong_type", lambda value, headers: {"item_id": b"a", "user_id": "u"}),
        ("too_deep", lambda value, headers: {"item_id": "a", "user_id": "u", "context": {"x": round_}}),
    ],
)
def test_every_failure_of_a_hook_rejects_its_record(reason: str, hook: Any) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(b"x", EventDecoder(hook=hook))
    assert caught.value.reason == reason
    assert len(caught.value.detail.encode()) <= 800


@pytest.mark.parametrize(
    "context",
    [{"x": float("inf")}, {"x": [0] * 2, "y": wide}, {"x": b"y"}, {1: "y"}, 10**5000, float("nan")],
    ids=["infinite", "wide", "bytes", "key", "integer", "nan"],
)
def test_what_a_hook_returns_for_an_optional_field_is_left_out_if_it_cannot_be_read(context: object) -> None:
    def hook(value: bytes, headers: object) -> dict[str, Any]:
        return {"item_id": "a", "user_id": "u", "context": context, "price": context, "event_type": "view"}

    decoded = decode(b"x", EventDecoder(hook=hook))
    (only,) = decoded.events
    assert (only.context, only.price) == (None, None)
    assert set(decoded.notes) == {(Kind.TIME, "kafka"), (Kind.DROPPED, "context"), (Kind.DROPPED, "price")}


def test_a_hook_sees_what_it_names_and_returns_none_one_or_several_events() -> None:
    def hook(value: bytes, headers: object, key: bytes, *, topic: str, offset: int) -> Any:
        if value == b"several":
            return [{"item_id": f"{topic}/{offset}/{n}", "user_id": key.decode()} for n in range(2)]
        return None if value == b"none" else []

    decoder = EventDecoder(hook=hook)
    assert not decode(b"none", decoder).events
    assert not decode(b"empty", decoder).events
    several = decode(b"several", decoder).events
    assert [(one.item_id, one.user_id, one.event_id) for one in several] == [("t/7/0", "k", "t-2-7"), ("t/7/1", "k", "t-2-7.1")]


def test_the_good_events_of_a_record_are_used_and_the_first_bad_one_named() -> None:
    three = [{"item_id": "a", "user_id": "u"}, {"user_id": "u"}, {"item_id": "b", "user_id": "u"}]
    decoded = decode(b"x", EventDecoder(hook=lambda value, headers: three))
    assert [one.item_id for one in decoded.events] == ["a", "b"]
    assert decoded.bad is not None
    assert (decoded.bad.reason, decoded.bad.detail) == ("missing_field", "event 2 of 3: item_id")


def test_a_hook_gets_the_headers_and_may_return_datetimes() -> None:
    def hook(value: bytes, headers: Any) -> dict[str, Any]:
        return {
            "item_id": dict(headers)["item"].decode(),
            "user_id": "u",
            "timestamp": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        }

    (decoded,) = (
        EventDecoder(hook=hook)
        .decode(None, b"x", topic="t", partition=0, offset=0, timestamp_ms=NOW, headers=[("item", b"mug")])
        .events
    )
    assert (decoded.item_id, decoded.timestamp) == ("mug", 1_700_000_000_000)


def test_a_decoder_is_loaded_by_name() -> None:
    assert load_decoder("json:loads") is json.loads
    with pytest.raises(ValueError, match="decoder json:nothing"):
        load_decoder("json:nothing")
    for name in ("json", "no_such_module:f", "json:decoder", ":", "..:x"):
        with pytest.raises(ValueError, match=r"^decoder [^\n]*$"):
            load_decoder(name)


def test_a_decoder_module_that_exits_when_imported_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "goes_away.py").write_text("raise SystemExit('no\\nlicence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"^decoder goes_away:f: SystemExit: no licence$"):
        load_decoder("goes_away:f")


def test_null_is_a_deletion_with_a_key_and_rejected_without_one() -> None:
    assert decode(None, key=b"ann").deletion == Deletion("ann")
    for key, reason in ((None, "null"), (b"", "null"), (b"\xff", "not_utf8")):
        with pytest.raises(BadRecord) as caught:
            decode(None, key=key)
        assert caught.value.reason == reason


names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=50)
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
