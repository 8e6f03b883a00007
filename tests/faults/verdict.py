"""The oracle's verdict on a run: what the events require against what Kafka and RocksDB contain."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from support.model_oracle import bit_equal, sound
from support.oracle import Account, Outputs, Place, account, in_changelog, in_rocksdb, outputs, read_topic

from streams.sessions.deletion import MARKER
from streams.sessions.step import unpack
from streams.settings import Settings

States = Mapping[int, Mapping[bytes, bytes]]
"""Packed states by partition and key."""


def lengths(states: States) -> dict[tuple[int, bytes], int]:
    """How many interactions each state has counted, by partition and key."""
    return {
        (partition, key): sum(session.length for session in unpack(value).sessions)
        for partition, of_partition in states.items()
        for key, value in of_partition.items()
        if not key.startswith(MARKER)
    }


def differences(expected: States, actual: States) -> tuple[int, int]:
    """How many events the states lack, and how many they contain too often.

    If all lengths agree, each state that differs counts as one event lost, and each state that
    nothing requires as one event too many.
    """
    required, stored = lengths(expected), lengths(actual)
    lost = sum(max(count - stored.get(name, 0), 0) for name, count in required.items())
    twice = sum(max(count - required.get(name, 0), 0) for name, count in stored.items())
    if not lost and not twice:
        lost = sum(actual.get(p, {}).get(key) != value for p, states in expected.items() for key, value in states.items())
        twice = sum(key not in expected.get(p, {}) for p, states in actual.items() for key in states)
    return lost, twice


def newest_rocksdb(folders: Iterable[Path], partitions: int) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
    """States and watermarks of each partition, from its last owner's database.

    That is the one with the highest watermark.
    """
    states: dict[int, dict[bytes, bytes]] = {}
    marks: dict[int, int] = {}
    for folder in folders:
        of_folder, watermarks = in_rocksdb(folder, partitions)
        for partition, watermark in watermarks.items():
            if watermark > marks.get(partition, -1):
                marks[partition], states[partition] = watermark, of_folder.get(partition, {})
    return states, marks


def count(expected: Account, sent: Outputs) -> tuple[int, int, int]:
    """How many outputs are missing, how many are repeated, and how many no event requires."""
    pairs: list[tuple[set[Any], Counter[Any]]] = [
        (expected.transitions, sent.transitions),
        (expected.recommendations, sent.recommendations),
        (expected.dead_letters, sent.dead_letters),
        (expected.source_letters, sent.source_letters),
    ]
    missing = sum(len(required - set(actual)) for required, actual in pairs)
    repeated = sum(actual.total() - len(actual) for _, actual in pairs)
    unexpected = sum(len(set(actual) - required) for required, actual in pairs)
    return missing, repeated, unexpected


def verdict(
    fault: str, delivery: str, settings: Settings, folders: Iterable[Path], events: int, recoveries: list[float], *,
    may_repeat: bool, rolled_back: bool = False, foreign: frozenset[Place] = frozenset(),
    source_letters: Collection[tuple[str, int, int]] = (),
) -> dict[str, Any]:  # fmt: skip
    """One row of the card, once the workers have stopped.

    ``folders`` are the workers' data directories, ``events`` is how many were sent, ``recoveries``
    are in seconds. ``may_repeat`` and ``rolled_back``: see `faults.card.Row`. The records at
    ``foreign`` are left out. ``source_letters`` are the dead letters that the intake has to write.
    """
    records = read_topic(settings, "events")
    expected = account(settings, records)
    expected.source_letters.update(source_letters)
    in_log, in_store = in_changelog(settings, foreign), newest_rocksdb(folders, settings.partitions)
    lost = twice = 0
    for states, watermarks in (in_log, in_store):
        lacking, too_many = differences(expected.states, states)
        lost, twice = max(lost, lacking), max(twice, too_many)
        if watermarks != expected.watermarks:
            lost = max(lost, 1)
    missing, repeated, unexpected = count(expected, outputs(settings, foreign))
    learned = settings.model == "null" or (sound(settings) if rolled_back else bit_equal(settings))
    in_topic = len(records)
    complete = in_topic == events
    return {
        "fault": fault,
        "delivery": delivery,
        "events": events,
        "lost": lost + abs(events - in_topic),
        "double_applied": twice + unexpected,
        "missing": missing,
        "repeated": repeated,
        "recovery_seconds": round(statistics.median(recoveries), 2) if recoveries else None,
        "worst_recovery_seconds": round(max(recoveries), 2) if recoveries else None,
        "model": "null" if settings.model == "null" else ("rolled back" if rolled_back else "bit-equal") if learned else "wrong",
        "ok": complete and learned and not (lost or twice or unexpected or missing) and (may_repeat or not repeated),
    }
