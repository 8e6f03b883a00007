"""The changelog as recovery reads it: which record wins, and that no bytes in it stop a worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.sessions.changelog import newest, next_offset, ours
from streams.sessions.step import NewerState, State, pack
from streams.sessions.store import WATERMARK, watermark_value


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


def test_a_stored_version_that_is_newer_stays() -> None:
    assert folded([change(b"a", 4, b"old")], {b"a": change(b"a", 9, b"new").value}) == {}
    assert folded([change(b"a", 4, None)], {b"a": change(b"a", 9, b"new").value}) == {}


def test_a_tombstone_removes_older_versions_and_a_zombies_later_record_does_not_win() -> None:
    removed: dict[bytes, int] = {}
    assert newest([change(b"a", 9, None)], {b"a": change(b"a", 4, b"old").value}.get, removed) == {b"a": (9, None)}
    assert newest([change(b"a", 5, b"zombie")], {}.get, removed) == {}


def test_the_first_event_that_is_not_done_follows_the_watermark() -> None:
    assert next_offset({}.get) == 0
    assert next_offset({WATERMARK: watermark_value(41)}.get) == 42


def record(key: bytes | None, value: bytes | None = b"") -> Any:
    return SimpleNamespace(key=key, value=value, headers=[])


@pytest.mark.parametrize(
    "bad",
    [
        record(None, b"x"),
        record(b"", b"x"),
        record(b"x:y", pack(State(), 1)),
        record(b"u:" + b"y" * 20_000, pack(State(), 1)),
        record(b"u:y", b""),
        record(b"u:y", b"\0" * 8),
        record(b"u:y", b"\0" * 8 + b"\x93\x01\x00"),
        record(b"u:y", b"\0" * 8 + b"\x80"),
        record(b"u:y", None),
        record(WATERMARK, b"short"),
        record(WATERMARK, None),
        SimpleNamespace(key=b"u:y", value=None, headers=[("offset", b"many")]),
    ],
)
def test_hostile_changelog_bytes_are_no_state(bad: Any) -> None:
    assert not ours(bad)


@given(st.binary(max_size=30), st.none() | st.binary(max_size=60))
def test_no_bytes_in_the_changelog_stop_recovery_except_those_of_a_later_version(key: bytes, value: bytes | None) -> None:
    for tried in (key, b"u:" + key):
        try:
            assert ours(record(tried, value)) in (True, False)
        except NewerState:
            assert value is not None
            assert value[9] > 1


def test_our_state_is_accepted_and_one_of_a_later_version_is_refused() -> None:
    whole = pack(State(), 3)
    assert ours(record(b"u:y", whole))
    with pytest.raises(NewerState, match="version 9"):
        ours(record(b"u:y", whole[:9] + b"\x09" + whole[10:]))
