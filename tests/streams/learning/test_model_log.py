"""Snapshots in the log: only a whole one with the right hash is used, and the order of the log does not fool anyone."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka.outbox import Outgoing
from streams.learning.model_log import CHUNK_BYTES, VERSION, Manifest, SnapshotLog, SnapshotRefused, to_records

DATA = random.Random(0).randbytes(3 * CHUNK_BYTES)


def records(name: str, data: bytes = DATA, offset: int = 100) -> list[Outgoing]:
    chunks, manifest = to_records(data, name, transitions_offset=offset, epoch=1, steps=5, created_at=0)
    return [*chunks, manifest]


def shelf(log: Iterable[Outgoing]) -> SnapshotLog:
    found = SnapshotLog()
    for offset, (_, value, headers) in enumerate(log):
        found.add(SimpleNamespace(offset=offset, value=value, headers=headers))
    return found


def changed(manifest: Outgoing, **fields: Any) -> Outgoing:
    key, value, headers = manifest
    assert value is not None
    told = msgspec.json.decode(value, type=Manifest)
    return key, msgspec.json.encode(msgspec.structs.replace(told, **fields)), headers


def test_a_snapshot_comes_back_whole_from_chunks_that_any_topic_takes() -> None:
    log = records("a")
    assert len(log) == 5
    assert max(len(value or b"") for _, value, _ in log) <= CHUNK_BYTES
    (stored,) = shelf(log).newest_first()
    assert stored.load() == DATA
    assert (stored.first, stored.manifest.transitions_offset) == (0, 100)


def test_the_one_furthest_in_the_log_is_the_newest_even_when_a_late_writer_ends_after_it() -> None:
    early, late = records("early", b"early", 10), records("late", b"late", 20)
    interleaved = [early[0], late[0], late[1], early[1]]
    assert [stored.load() for stored in shelf(interleaved).newest_first()] == [b"late", b"early"]


def test_what_a_killed_writer_left_is_no_snapshot() -> None:
    log = records("a")
    for kept in range(len(log)):
        assert list(shelf(log[:kept]).newest_first()) == []
    assert [stored.load() for stored in shelf([*log[:2], *records("b", b"b")]).newest_first()] == [b"b"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda log: [*log[:1], *log[2:]], "1 of 4 chunks are missing"),
        (lambda log: [log[0], (None, log[1][1][:-1], log[1][2]), *log[2:]], "decompress|hash|larger|end"),
        (lambda log: [*log[:-1], changed(log[-1], sha256="0" * 64)], "hash"),
        (lambda log: [*log[:-1], changed(log[-1], version=VERSION + 1)], "version 2"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=10)], "larger than it says"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=-1)], "a size of"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=len(DATA) + 1)], "end is missing"),
        (lambda log: [*log[:-1], changed(log[-1], chunks=9)], "5 of 9 chunks are missing"),
    ],
)
def test_a_damaged_one_is_refused_with_the_reason(damage: Any, reason: str) -> None:
    (stored,) = shelf(damage(records("a"))).newest_first()
    with pytest.raises(SnapshotRefused, match=reason):
        stored.load()


@settings(deadline=None)  # a megabyte is hashed each time
@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_in_any_chunk_is_found(chunk: int, at: float, bit: int) -> None:
    log = records("a")
    key, value, headers = log[chunk]
    assert value is not None
    flipped = bytearray(value)
    flipped[int(at * len(value))] ^= 1 << bit
    log[chunk] = key, bytes(flipped), headers
    (stored,) = shelf(log).newest_first()
    with suppress(SnapshotRefused):
        assert stored.load() == DATA  # a few bits of a deflate stream mean nothing


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=20), st.dictionaries(st.sampled_from(["snapshot", "chunk"]), st.binary(max_size=4))
        )
    )
)
def test_no_record_of_a_stranger_does_anything_but_be_refused(strange: list[tuple[bytes | None, dict[str, bytes]]]) -> None:
    log: list[Outgoing] = [(None, value, list(headers.items())) for value, headers in strange]
    found = shelf([*log, *records("a", b"a")])
    assert [stored.load() for stored in found.newest_first()] == [b"a"]
