"""Events for a worker, and the comparison of its states and outputs with the oracle."""

from __future__ import annotations

import json
import random
from pathlib import Path

from support.oracle import Account, Place, account, in_changelog, in_rocksdb, outputs, read_topic
from support.processes.running import wait_until

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

    The records at ``without`` are foreign, and left out.
    """

    def done() -> bool:
        return sum(offset + 1 for offset in in_changelog(settings, without)[1].values()) >= total

    wait_until(done, f"{total} events done", timeout_s, every_s=0.3)


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
