"""The decoder hook: a user's own code that turns a record into events."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.decoding import NOW, decode

from streams.events.decode import BadRecord, EventDecoder
from streams.events.hook import load_decoder
from streams.events.notes import Kind


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


class Text(str):
    """A text as some libraries return it; msgspec encodes no subclass."""


class Number(int):
    """A whole number of a library."""


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


class Broken(dict[str, Any]):
    def get(self, *_: object) -> Any:
        raise RuntimeError

    items = get  # type: ignore[assignment]


def test_ids_of_any_class_of_text_or_number_are_plain_texts() -> None:
    (decoded,) = decode(b"x", EventDecoder(hook=lambda value, headers: {"item_id": Text("a"), "user_id": Number(7)})).events
    assert [type(one) for one in (decoded.item_id, decoded.user_id)] == [str, str]
    assert msgspec.json.decode(msgspec.json.encode(decoded))["user_id"] == "7"


@pytest.mark.parametrize("base", [10**5000, -(10**5000)], ids=["above", "below"])
def test_an_id_of_thousands_of_digits_is_dropped(base: int) -> None:
    events = [{"item_id": "a", "user_id": "u"}, {"item_id": "b", "user_id": "u"}]
    decoded = decode(b"x", EventDecoder(hook=lambda value, headers: {"messageId": base, "events": events}))
    assert [one.item_id for one in decoded.events] == ["a", "b"]
    assert [note.kind for note in decoded.notes if note.kind is Kind.DROPPED] == [Kind.DROPPED] * 2


@pytest.mark.parametrize("value", [10**5000, Silent(), [10**5000], None], ids=type)
def test_a_filter_passes_no_object_that_it_cannot_name(value: Any) -> None:
    hook = lambda _, headers: {"op": value, "item_id": "a", "user_id": "u"}  # noqa: E731
    assert decode(b"x", EventDecoder(hook=hook, only={"op": ["c"]})).events == []


@pytest.mark.parametrize("hook", [lambda value, headers: sys.exit(3), lambda value, headers: {"items": [{}, Broken({"id": 1})]}])
def test_code_of_a_user_that_exits_or_an_object_that_raises_is_the_problem_of_its_record(hook: Any) -> None:
    with pytest.raises(BadRecord, match="decoder_error"):
        decode(b"x", EventDecoder(hook=hook))
