"""Any bytes are an event, or a `BadRecord` with a reason. The next record is unharmed."""

from __future__ import annotations

import gzip
import json
import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.events.bounds import RESERVED_ID
from streams.events.decode import REASONS, BadRecord, Decoded, Deletion, EventDecoder
from streams.events.notes import Kind
from streams.events.records import EVENT_TYPES, Event

NOW = 1_800_000_000_000
decoder = EventDecoder()


def decode(value: bytes | None, key: bytes | None = b"k", decoder: EventDecoder = decoder) -> Decoded:
    return decoder.decode(key, value, topic="t", partition=2, offset=7, timestamp_ms=NOW)


def outcome(value: bytes, decoder: EventDecoder = decoder) -> str:
    try:
        decoded = decode(value, decoder=decoder)
    except BadRecord as bad:
        return bad.reason
    return "event" if all(event.event_type in EVENT_TYPES for event in decoded.events) else "not allowed"


def reason_of(value: bytes | None, key: bytes | None = b"k", decoder: EventDecoder = decoder) -> str:
    with pytest.raises(BadRecord) as caught:
        decode(value, key, decoder)
    return caught.value.reason


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
    ("invalid_json", BASE + b'"price": Infinity}'),
    ("invalid_json", BASE[:-2] + b"} {}"),
    ("invalid_json", b'{"item_id": "\\ud800", "user_id": "u"}'),
    ("invalid_json", b"not json"),
    ("missing_field", b"{}"),
    ("missing_field", b'{"item_id": "a"}'),
    ("missing_field", b'{"user_id": "u"}'),
    ("wrong_type", b'{"item_id": ["a"], "user_id": "u"}'),
    ("wrong_type", b'{"item_id": true, "user_id": "u"}'),
    ("wrong_type", b'{"item_id": 1.5, "user_id": "u"}'),
    ("wrong_type", b'{"item_id": "a", "user_id": {}}'),
    ("wrong_type", BASE + b'"event_type": true}'),
    ("wrong_type", BASE + b'"timestamp": true}'),
    ("wrong_type", BASE + b'"timestamp": "01/02/2024 10:00"}'),
    ("wrong_type", BASE + b'"timestamp": ""}'),
    ("wrong_type", BASE + b'"timestamp": []}'),
    ("wrong_type", BASE + b'"timestamp": "yesterday"}'),
    ("out_of_bounds", b'{"item_id": "", "user_id": "u"}'),
    ("out_of_bounds", b'{"item_id": "%s", "user_id": "u"}' % (b"x" * 257)),
    ("out_of_bounds", b'{"item_id": "a\\u0000b", "user_id": "u"}'),
    ("out_of_bounds", BASE + b'"timestamp": -1}'),
    ("out_of_bounds", BASE + b'"timestamp": 18446744073709551616000}'),
    ("out_of_bounds", BASE + b'"timestamp": -0.5}'),
    ("out_of_bounds", BASE + b'"timestamp": "1969-12-31T23:59:59Z"}'),
    ("out_of_bounds", BASE + b'"timestamp": "0001-01-01T00:00:00+14:00"}'),
    ("out_of_bounds", BASE + b'"timestamp": "2024-02-30T00:00:00Z"}'),
    ("out_of_bounds", BASE + b'"price": 1e999}'),
    ("out_of_bounds", b'{"user_id": "u", "item_id": ' + b"9" * 300 + b"}"),
    ("out_of_bounds", b'{"user_id": "u", "item_id": ' + b"9" * 5000 + b"}"),
    ("unknown_event_type", BASE + b'"event_type": "dance"}'),
    ("unknown_event_type", BASE + b'"event_type": 3}'),
    ("timestamp_in_future", BASE + b'"timestamp": "9999-12-31T00:00:00Z"}'),
    ("timestamp_in_future", BASE + b'"timestamp": 253402300799000}'),
    ("timestamp_in_future", BASE + b'"timestamp": %d}' % (NOW + 300_001)),
    ("too_deep", BASE + b'"context": ' + b"[" * 100_000),
    ("too_deep", b"[" * 100_000 + b"]" * 100_000),
    ("too_deep", b'{"a":' * 100_000),
    ("too_deep", BASE + b'"unknown field": ' + b"[" * 17 + b"]" * 17 + b"}"),
    ("too_deep", BASE + b'"unknown field": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("too_deep", BASE + b'"context": ' + b'{"a":' * 17 + b"1" + b"}" * 17 + b"}"),
    ("too_deep", BASE + b'"context": ' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}"),
    ("too_large", BASE + b'"context": {"a": "' + b"x" * 5_000_000 + b'"}}'),
]


GOOD = b'{"item_id": "a", "user_id": "u"}'


@pytest.mark.parametrize(("reason", "value"), BAD, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(BAD)])
def test_a_bad_record_has_a_reason_and_the_next_one_is_decoded(reason: str, value: bytes) -> None:
    assert reason_of(value) == reason
    assert reason in REASONS
    assert decode(GOOD).events == (Event(event_id="t-2-7", item_id="a", user_id="u", timestamp=NOW),)


def test_values_just_within_the_bounds_are_accepted() -> None:
    for value in (
        b'{"item_id": "%s", "user_id": "u"}' % (b"x" * 256),
        BASE + b'"context": ' + b'{"a":' * 16 + b"1" + b"}" * 16 + b"}",
        BASE + b'"unknown field": ' + b"[" * 16 + b"]" * 16 + b"}",
        BASE + b'"properties": {"a": "' + b"[{" * 1000 + b'"}}',
        BASE + b'"timestamp": %d}' % (NOW + 300_000),
        BASE + b'"price": 1e15}',
        BASE + b'"context": {}, "properties": null, "currency": null}',
    ):
        assert len(decode(value).events) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", b"true"), ("price", b'"cheap"'), ("price", b"1e300"), ("price", b"9" * 400), ("price", b"[]"),
        ("quantity", b'"many"'), ("event_value", b"{}"), ("currency", b'"a long currency"'), ("currency", b"7"),
        ("context", b"1"), ("context", b'"text"'), ("properties", b"[1]"), ("recommendation_id", b"{}"),
        ("event_id", b"[]"), ("session_id", b"{}"),
    ],
)  # fmt: skip
def test_an_optional_field_that_cannot_be_read_is_left_out_and_noted(field: str, value: bytes) -> None:
    decoded = decode(BASE + b'"event_type": "view", "%s": %s}' % (field.encode(), value))
    assert list(decoded.events) == [Event(event_id="t-2-7", item_id="a", user_id="u", timestamp=NOW)]
    assert set(decoded.notes) == {(Kind.TIME, "kafka"), (Kind.DROPPED, field)}


@pytest.mark.parametrize("deep", [15, 16, 17, 18, 500, 900])
def test_too_deep_does_not_depend_on_the_depth_of_the_stack(deep: int) -> None:
    value = BASE + b'"x": ' + b"[" * deep + b"]" * deep + b"}"

    def verdict(frames: int) -> str:
        if frames:
            return verdict(frames - 1)
        return outcome(value)

    assert verdict(0) == verdict(300) == ("event" if deep <= 16 else "too_deep")


def test_null_is_a_deletion_with_a_key_and_rejected_without_one() -> None:
    assert decode(None, b"ann") == Decoded(deletion=Deletion("ann"))
    assert decode(None, "ü".encode()) == Decoded(deletion=Deletion("ü"))
    assert reason_of(None, None) == reason_of(None, b"") == "null"
    assert reason_of(None, b"\xff") == "not_utf8"
    assert reason_of(None, b"x" * 257) == reason_of(None, b"a\0") == "out_of_bounds"


def test_the_key_of_the_ranking_for_new_users_is_rejected() -> None:
    taken = RESERVED_ID.encode()
    for value in (b'{"item_id": "a", "user_id": "%s"}' % taken, b'{"item_id": "a", "session_id": "%s"}' % taken):
        assert reason_of(value) == "out_of_bounds"
    assert reason_of(None, taken) == "out_of_bounds"


# In a fresh clone the first run is slow: hypothesis builds its tables of characters.
fuzz = settings(suppress_health_check=[HealthCheck.too_slow])


@fuzz
@given(st.binary(max_size=200))
def test_random_bytes_are_rejected_with_a_reason(value: bytes) -> None:
    assert reason_of(value) in REASONS


@fuzz
@given(st.binary(max_size=40), st.integers(0, 60), st.integers(0, 20))
def test_a_damaged_event_is_decoded_or_rejected(noise: bytes, at: int, gone: int) -> None:
    whole = b'{"item_id": "a", "user_id": "u", "timestamp": 1700000000000, "context": {"a": [1, 2.5, null]}}'
    for other in (decoder, EventDecoder({"item_id": "context.a.0"})):
        assert outcome(whole[:at] + noise + whole[at + gone :], other) in {"event", *REASONS}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["view", "2024-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*Event.__struct_fields__, "aid", "ts", "items", "type", "userId", "event_params", "properties"])


@fuzz
@given(st.dictionaries(names, anything))
def test_any_json_object_is_decoded_or_rejected(fields: dict[str, Any]) -> None:
    assert outcome(json.dumps(fields).encode()) in {"event", *REASONS}


ids = st.text(max_size=3) | st.integers() | st.none() | st.floats(width=16) | st.booleans()


@fuzz
@given(
    st.fixed_dictionaries(
        {"item_id": ids, "user_id": ids},
        optional={
            "session_id": ids,
            "event_id": ids,
            "timestamp": st.integers(-1, 2**64) | st.floats(-1, 1e13) | st.datetimes().map(str) | anything,
            "event_type": st.sampled_from([*EVENT_TYPES, "view_item", "Orders", "x"]) | anything,
            "price": anything,
            "currency": anything,
            "context": anything,
        },
    )
)
@example({"item_id": 1.0, "user_id": "u"})
@example({"item_id": 10**25, "user_id": "u", "price": 10**30})
@example({"item_id": "a", "user_id": "u", "timestamp": 1e12, "price": -0.0})
def test_the_fast_path_and_the_general_one_agree(fields: dict[str, Any]) -> None:
    """An unknown field makes the decoder take the general path."""
    fast, general = json.dumps(fields).encode(), json.dumps({**fields, "unknown field": 1}).encode()
    assert outcome(fast) == outcome(general)
    with suppress(BadRecord):
        assert list(decode(fast).events) == list(decode(general).events)
