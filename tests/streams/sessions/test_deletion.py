"""Markers of deleted users: their form, their secret, and their expiry."""

from __future__ import annotations

from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from streams.sessions.changelog import source_offset
from streams.sessions.deletion import MARKER, deleted_at, marker_key, pack_marker
from streams.sessions.step import State, pack
from streams.sessions.store import Changes, RocksStore

DAY = 86_400_000


def test_a_marker_contains_the_time_but_not_the_user() -> None:
    key = marker_key("ann", b"secret")
    assert key.startswith(MARKER)
    assert b"ann" not in key
    assert len({key, marker_key("ann", b"other"), marker_key("bob", b"secret"), marker_key("ann", b"secret" * 50)}) == 4
    value = pack_marker(1_700_000_000_000, 41)
    assert deleted_at(value) == 1_700_000_000_000
    assert int.from_bytes(value[:8], "big") == 41
    assert source_offset(type("Record", (), {"value": value})) == 41


@pytest.fixture
def store(tmp_path: Path) -> RocksStore:
    database = Rdict(str(tmp_path / "0"), Options(raw_mode=True))
    return RocksStore(lambda _: database, b"__offset__")


def test_markers_are_read_back_and_expire_when_the_events_are_gone(store: RocksStore) -> None:
    mark = marker_key("ann", b"")
    assert store.markers(0) == {}
    store.write(0, Changes(3, {b"u:bob": pack(State(seen_at=DAY), 3)}, {mark: pack_marker(DAY, 3)}), 5)
    assert store.markers(0) == {mark: DAY}
    store.refresh()
    assert store.markers(0) == {mark: DAY}
    assert store.expired(0, 2 * DAY, DAY, DAY) == []
    assert store.expired(0, 2 * DAY + 1001, 9 * DAY, DAY) == [mark]
    assert store.expired(0, 3 * DAY, DAY, None) == [b"u:bob"]
    store.write(0, Changes(4, removals={mark: 4}), 6)
    assert store.markers(0) == {}
