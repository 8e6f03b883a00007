"""The pure parts of the engine: lease, custody, and which changelog record wins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.custody import Custody, CustodyBroken
from streams.engine.lease import Lease
from streams.engine.recovery import newest
from streams.engine.unit import Unit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_lease_is_fresh_for_four_fifths_of_the_session_timeout_after_the_heartbeat_was_sent() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    clock.now = 107.9
    assert lease.fresh
    clock.now = 108.0
    assert not lease.fresh
    lease.beat(105.0)
    assert lease.fresh
    lease.beat(101.0)
    clock.now = 112.9
    assert lease.fresh


async def test_a_stale_lease_waits_until_it_is_fresh_or_the_partitions_are_lost() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    clock.now = 200.0
    turns = 0

    def held() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            lease.beat(clock.now)
        return True

    assert await lease.wait(held)
    assert turns == 3
    clock.now = 300.0
    assert not await lease.wait(lambda: False)


def unit(custody: Custody, offsets: dict[int, list[int]]) -> Unit:
    records: dict[int, list[Any]] = {p: [SimpleNamespace(offset=o) for o in found] for p, found in offsets.items()}
    return Unit(records, {p: custody.deliver(p, found[-1]) for p, found in offsets.items()}, 1)


def test_units_acknowledged_in_turn_move_the_commit() -> None:
    custody = Custody()
    custody.ack(unit(custody, {0: [5, 6], 1: [0]}))
    custody.ack(unit(custody, {0: [9]}))
    assert custody.to_commit == {0: 10, 1: 1}


def test_a_unit_that_went_missing_breaks_custody_and_commits_nothing() -> None:
    custody = Custody()
    custody.ack(unit(custody, {0: [5]}))
    unit(custody, {0: [6]})
    with pytest.raises(CustodyBroken):
        custody.ack(unit(custody, {0: [7], 1: [3]}))
    assert custody.to_commit == {0: 6}


def test_after_a_seek_the_chain_begins_anew() -> None:
    custody = Custody()
    unit(custody, {0: [5]})
    custody.reset()
    custody.ack(unit(custody, {0: [5, 6]}))
    assert custody.to_commit == {0: 7}
    custody.forget({0})
    assert custody.to_commit == {}


def change(key: bytes, source: int, text: bytes | None) -> Any:
    if text is None:
        return SimpleNamespace(key=key, value=None, headers=[("offset", str(source).encode())])
    return SimpleNamespace(key=key, value=source.to_bytes(8, "big") + text, headers=[])


def folded(records: list[Any], stored: dict[bytes, bytes] | None = None) -> dict[bytes, tuple[int, bytes | None]]:
    return newest(records, (stored or {}).get, {})


def test_the_highest_source_offset_wins_whatever_the_order() -> None:
    late, early = change(b"a", 9, b"new"), change(b"a", 4, b"old")
    for records in ([late, early], [early, late]):
        assert folded(records) == {b"a": (9, late.value)}


def test_what_is_stored_and_newer_stays() -> None:
    assert folded([change(b"a", 4, b"old")], {b"a": change(b"a", 9, b"new").value}) == {}
    assert folded([change(b"a", 4, None)], {b"a": change(b"a", 9, b"new").value}) == {}


def test_a_tombstone_removes_what_is_older_and_a_zombies_record_after_it_does_not_come_back() -> None:
    removed: dict[bytes, int] = {}
    assert newest([change(b"a", 9, None)], {b"a": change(b"a", 4, b"old").value}.get, removed) == {b"a": (9, None)}
    assert newest([change(b"a", 5, b"zombie")], {}.get, removed) == {}
