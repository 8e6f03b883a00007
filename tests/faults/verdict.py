"""The oracle's verdict on a run: what the input demands against what RocksDB, the changelog and the topics hold."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from support.model_oracle import bit_equal, sound
from support.oracle import Account, Outputs, account, in_changelog, in_rocksdb, outputs, read_topic

from streams.sessions.deletion import MARKER
from streams.sessions.step import unpack
from streams.settings import Settings

States = Mapping[int, Mapping[bytes, bytes]]


def lengths(states: States) -> dict[tuple[int, bytes], int]:
    """How many interactions each state has counted."""
    return {
        (partition, key): sum(session.length for session in unpack(value).sessions)
        for partition, of_partition in states.items()
        for key, value in of_partition.items()
        if not key.startswith(MARKER)
    }


def differences(expected: States, found: States) -> tuple[int, int]:
    """Events lost from the states, and events applied twice. A state that differs at equal length counts as one lost."""
    wanted, held = lengths(expected), lengths(found)
    lost = sum(max(count - held.get(name, 0), 0) for name, count in wanted.items())
    twice = sum(max(count - wanted.get(name, 0), 0) for name, count in held.items())
    if not lost and not twice:
        lost = sum(found.get(p, {}).get(key) != value for p, states in expected.items() for key, value in states.items())
        twice = sum(key not in expected.get(p, {}) for p, states in found.items() for key in states)
    return lost, twice


def newest_rocksdb(folders: Iterable[Path], partitions: int) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
    """Per partition the database that is furthest: the last owner's."""
    states: dict[int, dict[bytes, bytes]] = {}
    marks: dict[int, int] = {}
    for folder in folders:
        of_folder, watermarks = in_rocksdb(folder, partitions)
        for partition, watermark in watermarks.items():
            if watermark > marks.get(partition, -1):
                marks[partition], states[partition] = watermark, of_folder.get(partition, {})
    return states, marks


def count(expected: Account, sent: Outputs) -> tuple[int, int, int]:
    """Outputs missing, repeated, and of nothing that the input demands."""
    pairs: list[tuple[set[Any], Counter[Any]]] = [
        (expected.transitions, sent.transitions),
        (expected.recommendations, sent.recommendations),
        (expected.dead_letters, sent.dead_letters),
    ]
    missing = sum(len(wanted - set(found)) for wanted, found in pairs)
    repeated = sum(found.total() - len(found) for _, found in pairs)
    strange = sum(len(set(found) - wanted) for wanted, found in pairs)
    return missing, repeated, strange


def verdict(
    fault: str, delivery: str, settings: Settings, folders: Iterable[Path], events: int, recoveries: list[float], *,
    may_repeat: bool, mended: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One row of the card."""
    expected = account(settings, read_topic(settings, "events"))
    in_log, in_store = in_changelog(settings), newest_rocksdb(folders, settings.partitions)
    lost = twice = 0
    for states, watermarks in (in_log, in_store):
        gone, again = differences(expected.states, states)
        lost, twice = max(lost, gone), max(twice, again)
        if watermarks != expected.watermarks:
            lost = max(lost, 1)
    missing, repeated, strange = count(expected, outputs(settings))
    learned = settings.model == "null" or (sound(settings) if mended else bit_equal(settings))
    held = sum(mark + 1 for mark in expected.watermarks.values())
    whole = held == events
    return {
        "fault": fault,
        "delivery": delivery,
        "events": events,
        "lost": lost + abs(events - held),
        "double_applied": twice + strange,
        "missing": missing,
        "repeated": repeated,
        "recovery_seconds": round(statistics.median(recoveries), 2) if recoveries else None,
        "worst_recovery_seconds": round(max(recoveries), 2) if recoveries else None,
        "model": "null" if settings.model == "null" else ("mended" if mended else "bit-equal") if learned else "wrong",
        "ok": whole and learned and not (lost or twice or strange or missing) and (may_repeat or not repeated),
    }
