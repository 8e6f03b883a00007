"""What the intake writes for a record: the same events as the worker would read, keyed by user."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from support.oracle import account

from streams.events.dead_letter import REDRIVEN_TIMESTAMP, as_first, read_letter, redriven_headers
from streams.events.decode import CANONICAL, EventDecoder
from streams.events.event_types import EventTypes
from streams.events.records import Event
from streams.intake.rekeying import MOST_OF_ONE_USER, Rekeying, Target, Unit, murmur_partitions
from streams.sessions.step import OPEN_SESSIONS, RECENT_EVENT_IDS
from streams.settings import Settings
from streams.wire.record import Record
from streams.wire.unreadable import Unreadable

NOW = 1_790_000_000_000
PARTITIONS = 4
partition_of = murmur_partitions(murmur2, PARTITIONS)


def target(**changes: Any) -> Target:
    return Target("ouzel.events", "ouzel.dead-letters", PARTITIONS, partition_of)._replace(**changes)


def record(
    value: object, key: bytes | None = None, *, topic: str = "clicks", partition: int = 0, offset: int = 7, timestamp: int = NOW,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Record:  # fmt: skip
    data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Record(topic, partition, offset, timestamp, key, data, headers)


def unit_of(*records: Record, now_ms: int = NOW, to: Target | None = None, **sources: EventDecoder) -> Unit:
    decoders = {"clicks": EventDecoder(tombstones=False)} | sources
    unit, rekeying = Unit(), Rekeying(decoders, to or target())
    for one in records:
        rekeying.add(unit, one, now_ms)
    return unit


def events_of(unit: Unit, decoder: EventDecoder | None = None) -> list[Event]:
    """The events that a worker reads from what the unit writes, whatever its own decoder is."""
    read: list[Event] = []
    for (topic, partition), several in unit.events.items():
        for offset, (key, value, headers, at) in enumerate(several):
            first, first_id = as_first(Record(topic, partition, offset, at, key, value, tuple(headers)))
            read += (decoder or EventDecoder({"item_id": "no.such"})).decode(
                first.key, first.value, topic=topic, partition=partition, offset=offset, timestamp_ms=first.timestamp,
                headers=first.headers, event_id=first_id,
            ).events  # fmt: skip
    return read


@pytest.mark.parametrize("key", [None, b"mug", b"\xff", b'{"session": 3}'])
def test_an_event_is_keyed_by_its_user_whatever_the_key_of_its_record_is(key: bytes | None) -> None:
    unit = unit_of(record({"user_id": "ann", "item_id": "mug", "timestamp": NOW - 5}, key))
    (((topic, partition), [(written, _, headers, at)]),) = unit.events.items()
    assert (topic, written, headers, at) == ("ouzel.events", b"ann", [CANONICAL], NOW)
    assert partition == DefaultPartitioner()(b"ann", list(range(PARTITIONS)), list(range(PARTITIONS)))
    assert events_of(unit) == [Event(event_id="clicks-0-7", item_id="mug", user_id="ann", timestamp=NOW - 5)]
    assert unit.offsets == {("clicks", 0): 8}


def test_an_event_of_nobody_is_keyed_by_its_session() -> None:
    ((one,),) = unit_of(record({"session_id": "s", "item_id": "mug"}, b"mug")).events.values()
    assert one[0] == b"s"


def test_ids_are_those_of_the_events_or_of_their_first_place() -> None:
    lines = {"user_id": "ann", "products": [{"item_id": "mug"}, {"item_id": "cup"}]}
    own = {"event_id": "17", "user_id": "ann", "item_id": "mug"}
    unit = unit_of(record(lines, offset=7), record(own, offset=8))
    assert [event.event_id for event in events_of(unit)] == ["clicks-0-7", "clicks-0-7.1", "17"]


def test_each_source_has_its_own_mapping_types_and_type_of_all_events() -> None:
    sources = {
        "orders": EventDecoder({"item_id": "sku"}, types=EventTypes(every="purchase")),
        "carts": EventDecoder(types=EventTypes({"put": "add_to_cart", "look": None})),
    }
    unit = unit_of(
        record({"user_id": "ann", "sku": "mug", "event_type": "online order"}, topic="orders"),
        record({"user_id": "ann", "item_id": "cup", "event_type": "put"}, topic="carts"),
        record({"user_id": "ann", "item_id": "cup", "event_type": "look"}, topic="carts"),
        **sources,
    )
    assert [(event.item_id, event.event_type) for event in events_of(unit)] == [("mug", "purchase"), ("cup", "add_to_cart")]
    assert unit.written == {"orders": 1, "carts": 1}
    assert unit.ignored == {("carts", "no_event"): 1}


def test_a_record_that_cannot_be_decoded_is_a_dead_letter_with_its_place_and_the_others_go_on() -> None:
    unit = unit_of(record(b"{", b"k", partition=9, offset=3), record({"user_id": "ann", "item_id": "mug"}))
    (((topic, partition), [(key, value, headers)]),) = unit.letters.items()
    assert (topic, partition, key, value) == ("ouzel.dead-letters", 9 % PARTITIONS, b"k", b"{")
    letter = read_letter(Record(topic, partition, 0, NOW, key, value, tuple(headers)))
    assert (letter.topic, letter.partition, letter.place) == ("clicks", 9, "clicks-9-3")
    assert unit.rejected == {("clicks", "invalid_json"): 1}
    assert len(events_of(unit)) == 1
    assert unit.offsets == {("clicks", 9): 4, ("clicks", 0): 8}


def test_a_record_that_was_sent_again_has_its_first_id_and_time() -> None:
    unit = unit_of(record(b"{", offset=3, timestamp=NOW - 60_000))
    ((key, value, headers),) = unit.letters["ouzel.dead-letters", 0]
    letter = read_letter(Record("ouzel.dead-letters", 0, 0, NOW, key, value, tuple(headers)))
    again = record({"user_id": "ann", "item_id": "mug"}, offset=90, headers=tuple(redriven_headers(letter)))
    assert events_of(unit_of(again)) == [Event(event_id="clicks-0-3", item_id="mug", user_id="ann", timestamp=NOW - 60_000)]


def test_a_batch_that_cannot_be_read_is_a_dead_letter() -> None:
    unit = unit_of(record(b"bytes", offset=5, headers=(Unreadable(3, 5, "damaged").mark(),)))
    assert unit.rejected == {("clicks", "unreadable_batch"): 1}
    assert unit.offsets == {("clicks", 0): 6}


def test_a_null_value_deletes_a_user_only_where_the_keys_are_users() -> None:
    ignored = unit_of(record(None, b"ann"))
    assert (ignored.events, ignored.letters, ignored.ignored) == ({}, {}, {("clicks", "tombstone"): 1})
    unit = unit_of(record(None, b"ann", topic="users"), users=EventDecoder())
    assert unit.events == {("ouzel.events", partition_of(b"ann")): [(b"ann", None, [CANONICAL], NOW)]}
    assert unit.deleted == {"users": 1}


@pytest.mark.parametrize(
    ("time", "written"),
    [(NOW + 100_000, NOW), (NOW - 400_000, NOW - 300_000), (NOW - 200_000, NOW - 200_000)],
    ids=["future", "older than the retention", "ordinary"],
)
def test_kafka_neither_rejects_nor_soon_removes_an_event_and_the_worker_sees_its_true_time(time: int, written: int) -> None:
    unit = unit_of(record({"user_id": "ann", "item_id": "mug"}, timestamp=time), to=target(retention_ms=600_000))
    ((one,),) = unit.events.values()
    assert one[3] == written
    assert (REDRIVEN_TIMESTAMP in dict(one[2])) is (time != written)
    assert [event.timestamp for event in events_of(unit)] == [time]
    assert as_first(Record("t", 0, 0, one[3], one[0], one[1], tuple(one[2])))[0].timestamp == time


def test_a_record_without_a_time_is_dated_now() -> None:
    ((one,),) = unit_of(record({"user_id": "ann", "item_id": "mug", "timestamp": NOW - 5}, timestamp=-1)).events.values()
    assert (one[2], one[3]) == ([CANONICAL], NOW)


def test_an_event_that_the_topic_would_refuse_is_a_dead_letter() -> None:
    unit = unit_of(record({"user_id": "ann", "item_id": "mug", "properties": {"text": "x" * 2000}}), to=target(max_bytes=1000))
    assert unit.events == {}
    assert unit.rejected == {("clicks", "too_large"): 1}


def fills(*several: tuple[object, bytes | None], repeatable: bool = True) -> int:
    """How many of these values and keys fill a unit; 0 if all of them do not."""
    unit, rekeying = Unit(repeatable=repeatable), Rekeying({"clicks": EventDecoder()}, target())
    for number, (value, key) in enumerate(several, 1):
        rekeying.add(unit, record(value, key, offset=number), NOW)
        if unit.full:
            return number
    return 0


def of(user: str, session: str | None = None) -> tuple[object, bytes | None]:
    return {"user_id": user, "item_id": "mug"} | ({} if session is None else {"session_id": session}), None


def test_a_unit_ends_before_a_session_would_forget_its_first_event() -> None:
    two_users = [of(user) for number in range(MOST_OF_ONE_USER) for user in ("ann", f"u{number}")]
    assert fills(*two_users) == 2 * MOST_OF_ONE_USER - 1
    assert MOST_OF_ONE_USER < RECENT_EVENT_IDS


def test_a_unit_ends_before_a_user_would_lose_a_session_of_it() -> None:
    assert fills(*(of("ann", f"s{number}") for number in range(OPEN_SESSIONS + 1))) == OPEN_SESSIONS


def test_a_deletion_ends_its_unit_because_the_worker_then_forgets_the_ids_of_later_events() -> None:
    assert fills(of("ann"), (None, b"ann"), of("ann")) == 2


def test_a_unit_that_is_never_repeated_is_not_limited() -> None:
    sessions = (of("ann", f"s{number}") for number in range(3 * MOST_OF_ONE_USER))
    assert fills(*sessions, (None, b"ann"), of("ann"), repeatable=False) == 0


def test_the_worker_recognises_each_event_of_a_unit_that_is_written_again() -> None:
    """Whatever its users, sessions and deletions are: nothing is stepped twice."""
    rng = random.Random(1)
    for _ in range(300):
        unit, rekeying = Unit(), Rekeying({"clicks": EventDecoder()}, target())
        for offset in range(60):
            ago = rng.choice((0, 0, 1000, 4_000_000))
            value = {"user_id": rng.choice("ab"), "item_id": rng.choice("xyz"), "timestamp": NOW + offset * 1000 - ago}
            if session := rng.choice(("", "", *"12345")):
                value["session_id"] = session
            deletes = rng.random() < 0.03
            rekeying.add(
                unit, record(None if deletes else value, b"a", offset=offset, timestamp=NOW + offset * 1000), NOW + 60_000
            )
            if unit.full:
                break
        once = [(key, value, headers, at) for several in unit.events.values() for key, value, headers, at in several]
        sent = [Record("ouzel.events", 0, n, at, k, v, tuple(h)) for n, (k, v, h, at) in enumerate(once + once)]
        done = account(Settings(topic_prefix="ouzel."), sent)
        assert done.transitions == {place for place in done.transitions if place[1] < len(once)}


def test_partitions_are_those_of_kafkas_partitioner() -> None:
    keys = [f"user-{number}".encode() for number in range(300)] + [b"\xc3\xa9", b"x" * 256]
    everywhere = list(range(PARTITIONS))
    for key in [*keys, *keys]:
        assert partition_of(key) == DefaultPartitioner()(key, everywhere, everywhere)
