"""Ids, and all texts by which items are found, are bounded in bytes of UTF-8, on every way in."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest

from streams.events.aliases import ALIASES, EVENT_LISTS, LINE_ALIASES, LINES, MAX_NAME_LENGTH
from streams.events.bounds import MAX_ID_BYTES, BadRecord, check_id, check_owner
from streams.events.catalogue import Catalogue
from streams.events.decode import CANONICAL, Deletion, EventDecoder
from streams.events.item_keys import id_of_key
from streams.events.items import decode_item, read_item
from streams.events.records import Interaction, Item, Transition
from streams.learning.transitions import transition_of
from streams.sessions.changelog import ours
from streams.sessions.step import Session, State, pack, unpack, user_key
from streams.wire.record import Record

FITS = ["x" * 256, "é" * 128, "語" * 85, "\N{BIRD}" * 64, "x" * 252 + "\N{BIRD}"]
TOO_LONG = ["x" * 257, "é" * 129, "語" * 86, "\N{BIRD}" * 65, "x" * 253 + "\N{BIRD}", "\N{BIRD}" * 200, "\N{BIRD}" * 256]
FORMER = "\N{BIRD}" * 256
"""The longest id that earlier versions accepted."""


def decode(fields: dict[str, object], headers: tuple[tuple[str, bytes], ...] = (), **options: object) -> object:
    decoder = EventDecoder(**options)  # type: ignore[arg-type]
    value = json.dumps(fields).encode()
    return decoder.decode(None, value, topic="t", partition=0, offset=0, timestamp_ms=1_700_000_000_000, headers=headers)


@pytest.mark.parametrize("text", FITS)
def test_an_id_of_256_bytes_is_accepted(text: str) -> None:
    assert len(text.encode()) <= MAX_ID_BYTES
    assert check_id("item_id", text) == check_owner("user_id", text) == id_of_key(text.encode()) == text
    assert decode_item(msgspec.json.encode({"item_id": text, "categories": [text], "labels": {text: ""}})).categories == [text]


@pytest.mark.parametrize("text", TOO_LONG)
def test_a_longer_id_is_rejected_and_the_reason_has_its_length_in_bytes_and_the_bound(text: str) -> None:
    expected = f"item_id has {len(text.encode())} bytes of UTF-8, at most 256"
    for check in (check_id, check_owner):
        with pytest.raises(BadRecord) as caught:
            check("item_id", text)
        assert (caught.value.reason, caught.value.detail) == ("out_of_bounds", expected)


WAYS: dict[str, Callable[[dict[str, object]], object]] = {
    "ouzel's own names": decode,
    "aliases": lambda fields: decode({"productId": fields.pop("item_id"), "userId": fields.pop("user_id"), **fields}),
    "a mapping": lambda fields: decode({"a": fields}, mapping={name: f"a.{name}" for name in fields}),
    "a user's decoder": lambda fields: decode({}, hook=lambda value, headers: [fields]),
    "ouzel's own tools": lambda fields: decode(fields, (CANONICAL,)),
    "a row of a file": lambda fields: EventDecoder().decode_fields(fields | {"timestamp": 1_700_000_000_000}, "place"),
    "several events": lambda fields: decode({"user_id": fields["user_id"], "items": [{"item_id": fields["item_id"]}]}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["item_id", "user_id"])
def test_every_way_in_rejects_an_id_of_too_many_bytes(way: str, field: str) -> None:
    fields: dict[str, object] = {"item_id": "a", "user_id": "u"}
    WAYS[way](dict(fields))
    with pytest.raises(BadRecord, match=r"has 260 bytes of UTF-8, at most 256"):
        WAYS[way](fields | {field: "\N{BIRD}" * 65})


@pytest.mark.parametrize("field", ["event_id", "session_id", "recommendation_id"])
def test_an_optional_id_of_too_many_bytes_is_dropped(field: str) -> None:
    fields = {"item_id": "a", "user_id": "u", "timestamp": 1_700_000_000_000, field: "\N{BIRD}" * 65}
    (event,) = EventDecoder().decode_fields(fields, "place").events
    assert getattr(event, field) == ("place" if field == "event_id" else None)


def test_categories_brands_and_names_of_labels_have_the_bound_of_ids() -> None:
    long = "\N{BIRD}" * 65
    fields = {"item_id": "a", "categories": ["c", long], "brand": long, "labels": {"l": "v", long: "v"}, "item_name": long}
    item, dropped = read_item(fields)
    assert item == Item(item_id="a", categories=["c"], labels={"l": "v"}, item_name=long)
    assert set(dropped) == {"categories", "brand", "labels"}
    assert all("260 bytes of UTF-8, at most 256" in bad.detail for bad in dropped.values())
    with pytest.raises(BadRecord, match="260 bytes of UTF-8, at most 256"):
        read_item({"item_id": long})
    assert id_of_key(long.encode()) is None
    with pytest.raises(BadRecord, match="missing_field"):
        Catalogue().apply(long.encode(), b"{}")


def test_a_user_whose_id_an_earlier_version_accepted_can_be_deleted() -> None:
    place = {"topic": "t", "partition": 0, "offset": 0, "timestamp_ms": 0}
    assert EventDecoder().decode(FORMER.encode(), None, **place).deletion == Deletion(FORMER)  # type: ignore[arg-type]
    with pytest.raises(BadRecord, match="257 characters, at most 256"):
        EventDecoder().decode(b"x" * 257, None, **place)  # type: ignore[arg-type]


def test_stored_records_of_earlier_versions_remain_readable() -> None:
    state = State(1, 1, [Session(FORMER, 1, 1, 1, 1, [Interaction(FORMER, 1, "view")], [FORMER])])
    assert unpack(pack(state, 7)) == state
    assert ours(Record("t", 0, 0, 0, user_key(FORMER), pack(state, 7), ()))
    transition = Transition(
        source_partition=0, source_offset=0, prefix=[Interaction(FORMER, 1, "view")], prefix_length=1, unique_items=1,
        item_id=FORMER, event_type="view", weight=1.0, timestamp=1,
    )  # fmt: skip
    assert transition_of(Record("t", 0, 0, 0, None, msgspec.json.encode(transition), ())) == transition


@pytest.mark.parametrize(
    "fields",
    [
        lambda name: {name: 1},
        lambda name: {"properties": {name: 1}},
        lambda name: {"userInfo": {name: 1}},
        lambda name: {"event_params": [{"key": name, "value": {"int_value": 1}}]},
        lambda name: {"items": [{"id": "a", name: 1}]},
    ],
)
def test_the_names_of_unknown_fields_are_not_kept(fields: Callable[[str], dict[str, object]]) -> None:
    decoder = EventDecoder()
    long = [f"{number}".rjust(100_000, "x") for number in range(50)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for name in long:
        decoder.decode_fields({"item_id": "a", "userId": "u", "timestamp": 1_700_000_000_000} | fields(name), "place")
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 500_000


def test_every_alias_is_short_enough_to_be_looked_up() -> None:
    paths = [path for aliases in (ALIASES, LINE_ALIASES) for paths in aliases.values() for path in paths]
    names = [name for path in (*paths, *LINES, *EVENT_LISTS) for name in path.split(".")]
    assert max(map(len, names)) * 1.5 < MAX_NAME_LENGTH, "with separators, too"
