"""The journey on real RocksDB, without Kafka and without a model.

What a unit changes when deletions, expiry and events meet in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from support.in_memory import NullRanker

from streams.events.dead_letter import Letter, redriven_headers
from streams.events.decode import EventDecoder
from streams.events.records import POPULAR_KEY
from streams.kafka.outbox import Outbox
from streams.observing.observer import Unobserved
from streams.pipeline import Pipeline
from streams.rules import rules_of, topics_of
from streams.sessions.deletion import Deleting, marker_key
from streams.sessions.step import unpack
from streams.sessions.store import Changes, RocksStore
from streams.settings import Settings
from streams.wire.record import Record
from streams.wire.unreadable import HEADER, Unreadable
from streams.work import Work

DAY = 86_400_000
NOON = 1_760_000_000_000
MARK = marker_key("ann", b"")


class KeepChanges:
    """A `Delivery` that sends nothing and keeps the changes of each unit, and its last outputs."""

    def __init__(self) -> None:
        self.changes: list[Mapping[int, Changes]] = []

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        self.changes.append(changes)
        self.outputs = outputs
        return dict.fromkeys(changes, len(self.changes))


class Journey:
    """A worker's journey over one partition; sessions and markers expire after a day."""

    def __init__(self, folder: Path) -> None:
        self.store = RocksStore(lambda _: database, b"__offset__")
        database = Rdict(str(folder), Options(raw_mode=True))
        settings = Settings(session_ttl_s=DAY / 1000)
        self.delivery, self.observer, self._next = KeepChanges(), KeepTriggers(), 0
        self._pipeline = Pipeline(
            decoder=EventDecoder(),
            store=self.store,
            ranker=NullRanker(),
            delivery=self.delivery,
            observer=self.observer,
            topics=topics_of(settings),
            rules=rules_of(settings, Deleting(b"", DAY)),
        )

    def take(self, *records: Record) -> None:
        """Process these records as one unit."""
        asyncio.run(self._pipeline.process({0: records}, 1))

    def unit(self, at: int, *users: tuple[str, str | None], event_time: int | None = None) -> Changes:
        """Process one record per user: a view of the item or, without an item, a deletion.

        ``at`` is their Kafka time.
        """
        records = []
        for user, item in users:
            event = {"user_id": user, "item_id": item, "timestamp": event_time or at}
            value = None if item is None else json.dumps(event).encode()
            records.append(Record("e", 0, self._next, at, user.encode(), value, ()))
            self._next += 1
        asyncio.run(self._pipeline.process({0: records}, 1))
        return self.delivery.changes[-1][0]


class KeepTriggers(Unobserved):
    """Keeps the Kafka times from which freshness is measured."""

    def done(self, work: Work, rankings: object, done_at: float) -> None:
        self.times = [trigger.record.timestamp for trigger in work.triggers]


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey(tmp_path)


def test_an_expired_state_is_removed_unless_the_unit_touches_it(journey: Journey) -> None:
    journey.unit(NOON, ("ann", "a"), ("bob", "a"))
    changes = journey.unit(NOON + DAY + 1000, ("ann", "b"))
    assert changes.removals == {b"u:bob": 2}
    assert list(changes.states) == [b"u:ann"]
    assert journey.store.get(0, b"u:bob") is None


def test_a_user_who_is_deleted_and_comes_back_in_the_same_unit_starts_from_nothing(journey: Journey) -> None:
    journey.unit(NOON, ("ann", "a"), ("bob", "a"))
    changes = journey.unit(NOON + 1000, ("ann", None), ("bob", None), ("ann", "b"), event_time=NOON + 1001)
    assert changes.markers.keys() == {MARK, marker_key("bob", b"")}
    assert changes.removals == {b"s:ann": 2, b"u:bob": 3, b"s:bob": 3}
    (session,) = unpack(changes.states[b"u:ann"]).sessions
    assert [interaction.item_id for interaction in session.prefix] == ["b"]


def test_an_event_of_the_same_time_as_the_deletion_is_ignored(journey: Journey) -> None:
    changes = journey.unit(NOON, ("ann", "a"), ("ann", None), ("ann", "b"))
    assert changes.states == {}
    assert changes.removals == {b"u:ann": 1, b"s:ann": 1}
    assert list(journey.unit(NOON + 1, ("ann", "b")).states) == [b"u:ann"]


def test_a_marker_stays_if_it_expires_in_a_unit_that_deletes_the_user_again(journey: Journey) -> None:
    journey.unit(NOON, ("ann", None))
    assert journey.store.markers(0) == {MARK: NOON}
    changes = journey.unit(NOON + DAY + 1000, ("ann", None))
    assert MARK not in changes.removals
    assert journey.store.markers(0) == {MARK: NOON + DAY + 1000}


def test_an_expired_marker_is_removed(journey: Journey) -> None:
    journey.unit(NOON, ("ann", None))
    changes = journey.unit(NOON + DAY + 1000, ("bob", "a"))
    assert changes.removals == {MARK: 1}
    assert journey.store.markers(0) == {}


def test_a_record_that_was_sent_again_has_its_first_time_but_is_fresh_from_its_second(journey: Journey) -> None:
    letter = Letter("e-0-3", "e-0-3", "e", 0, NOON, [], whole=True)
    again = Record("e", 0, 0, NOON + DAY, b"ann", b'{"item_id": "a", "user_id": "ann"}', tuple(redriven_headers(letter)))
    journey.take(again)
    ((session,),) = (unpack(value).sessions for value in journey.delivery.changes[-1][0].states.values())
    assert session.last_at == NOON
    assert journey.observer.times == [NOON + DAY]


def test_a_damaged_batch_is_one_dead_letter_and_the_events_after_it_go_on(journey: Journey) -> None:
    damaged = Record("e", 0, 9, NOON, None, b"bytes of a batch", (Unreadable(5, 9, "its checksum is wrong").mark(),))
    journey.take(damaged, Record("e", 0, 10, NOON, b"ann", b'{"item_id": "a", "user_id": "ann"}', ()))
    ((_, value, headers),) = journey.delivery.outputs["ouzel.dead-letters", 0]
    said = dict(headers)
    assert (value, said["reason"], said["offset"], said["last_offset"]) == (b"bytes of a batch", b"unreadable_batch", b"5", b"9")
    assert said["detail"] == b"offsets 5 to 9: its checksum is wrong"
    changes = journey.delivery.changes[-1][0]
    assert (changes.watermark, list(changes.states)) == (10, [b"u:ann"])


def test_a_header_that_a_producer_sent_marks_no_damaged_batch(journey: Journey) -> None:
    journey.take(Record("e", 0, 9, NOON, b"ann", b'{"item_id": "a", "user_id": "ann"}', ((HEADER, b"5 forged"),)))
    assert list(journey.delivery.changes[-1][0].states) == [b"u:ann"]


@pytest.mark.parametrize("key", [POPULAR_KEY, b"k" * 1_000_000, None])
def test_a_ranking_is_published_under_its_owner_if_the_key_of_the_event_cannot_be_its_key(
    journey: Journey, key: bytes | None
) -> None:
    """The reserved key is shown to everybody, and no topic accepts a ranking with a huge one."""
    journey.take(Record("e", 0, 9, NOON, key, b'{"item_id": "a", "user_id": "ann"}', ()))
    ((owner, _, _),) = journey.delivery.outputs[topics_of(Settings()).recommendations, 0]
    assert owner == b"ann"


def test_a_ranking_has_the_key_of_its_event_if_that_is_of_another_system(journey: Journey) -> None:
    journey.take(Record("e", 0, 9, NOON, b"\xff\x00", b'{"item_id": "a", "user_id": "ann"}', ()))
    ((key, _, _),) = journey.delivery.outputs[topics_of(Settings()).recommendations, 0]
    assert key == b"\xff\x00"


def test_a_kafka_time_far_in_the_future_does_not_end_the_sweeps_for_expired_states(journey: Journey) -> None:
    journey.unit(NOON, ("ann", "a"))
    journey.take(Record("e", 0, 5, 2**62, b"bob", b'{"item_id": "a", "user_id": "bob", "timestamp": 1760000000}', ()))
    journey.take(Record("e", 0, 6, NOON, b"cid", b'{"item_id": "a", "user_id": "cid"}', ()))
    journey.take(Record("e", 0, 7, NOON + 2 * DAY, b"dan", b'{"item_id": "a", "user_id": "dan"}', ()))
    assert b"u:cid" in journey.delivery.changes[-1][0].removals
