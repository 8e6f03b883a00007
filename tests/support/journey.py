"""Events for a worker, and the comparison of its states and outputs with the oracle."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from support.oracle import (
    Account,
    Place,
    account,
    from_beginning,
    in_changelog,
    in_rocksdb,
    outputs,
    read_topic,
    source_offset,
)

from streams.sessions.store import WATERMARK
from streams.settings import Settings


def clicks(count: int, users: int, seed: int = 0) -> list[tuple[bytes, bytes]]:
    """Clicks as keys and values, one second of event time apart, each with an event id of its own.

    The users and the 200 items are random, and the same for the same ``seed``.
    """
    rng = random.Random(seed)
    records = []
    for number in range(count):
        user = f"user-{rng.randrange(users)}"
        event = {
            "event_id": f"e{seed}-{number}",
            "user_id": user,
            "item_id": f"item-{rng.randrange(200)}",
            "timestamp": 1_700_000_000_000 + number * 1000,
        }
        records.append((user.encode(), json.dumps(event).encode()))
    return records


def wait_done(settings: Settings, total: int, timeout_s: float = 60.0, without: frozenset[Place] = frozenset()) -> None:
    """Wait until the watermarks in the changelog say that all ``total`` events are done.

    The records at ``without`` are foreign, and left out. The changelog is read once, as it grows.
    """
    consumer, _ = from_beginning(settings, settings.topic("sessions-changelog"))
    until, marks = time.monotonic() + timeout_s, dict[int, int]()
    while sum(offset + 1 for offset in marks.values()) < total:
        assert time.monotonic() < until, f"not within {timeout_s} s: {total} events done, but {marks}"
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                if record.key == WATERMARK and ("sessions-changelog", record.partition, record.offset) not in without:
                    marks[record.partition] = max(marks.get(record.partition, -1), source_offset(record))
    consumer.close()


def assert_accounted(settings: Settings, *, repeats: bool = False) -> None:
    """Assert that RocksDB, changelog and outputs equal the oracle's replay of the events.

    With ``repeats``, outputs may occur more than once.
    """
    expected = assert_in_kafka(settings, repeats=repeats)
    assert in_rocksdb(Path(settings.data_dir), settings.partitions) == (expected.states, expected.watermarks)


def assert_in_kafka(settings: Settings, *, repeats: bool = False, without: frozenset[Place] = frozenset()) -> Account:
    """Assert that changelog and outputs equal the oracle's replay of the events, and return it.

    With ``repeats``, outputs may occur more than once. The records at ``without`` are foreign, and
    left out.
    """
    expected = account(settings, read_topic(settings, "events"))
    assert in_changelog(settings, without) == (expected.states, expected.watermarks)
    sent = outputs(settings, without)
    assert set(sent.transitions) == expected.transitions
    assert set(sent.recommendations) == expected.recommendations
    assert set(sent.dead_letters) == expected.dead_letters
    assert set(sent.source_letters) == expected.source_letters
    if not repeats:
        for counted in (sent.transitions, sent.recommendations, sent.dead_letters):
            assert set(counted.values()) <= {1}
    return expected
