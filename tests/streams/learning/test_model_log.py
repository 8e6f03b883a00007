"""Snapshots in the log: only complete ones with the right hash are used, in any order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.outbox import Outgoing
from streams.learning.model_log import CHUNK_BYTES, VERSION, Manifest, SnapshotLog, SnapshotRefused, to_records
from streams.wire.record import Record

DATA = random.Random(0).randbytes(3 * CHUNK_BYTES)


def records(name: str, data: bytes = DATA, offset: int = 100) -> list[Outgoing]:
    chunks, manifest = to_records(data, name, transitions_offset=offset, epoch=1, steps=5, created_at=0)
    return [*chunks, manifest]


def read(log: Iterable[Outgoing]) -> SnapshotLog:
    snapshots = SnapshotLog()
    for offset, (key, value, headers) in enumerate(log):
        snapshots.add(Record("model", 0, offset, 0, key, value, tuple(headers)))
    return snapshots


def changed(manifest: Outgoing, **fields: Any) -> Outgoing:
    key, value, headers = manifest
    assert value is not None
    decoded = msgspec.json.decode(value, type=Manifest)
    return key, msgspec.json.encode(msgspec.structs.replace(decoded, **fields)), headers


def test_a_snapshot_is_read_back_from_chunks_that_any_topic_accepts() -> None:
    log = records("a")
    assert len(log) == 5
    assert max(len(value or b"") for _, value, _ in log) <= CHUNK_BYTES
    (stored,) = read(log).newest_first()
    assert stored.load() == DATA
    assert (stored.first, stored.manifest.transitions_offset) == (0, 100)


def test_the_newest_snapshot_is_the_furthest_in_the_log_even_if_another_was_written_later() -> None:
    early, late = records("early", b"early", 10), records("late", b"late", 20)
    interleaved = [early[0], late[0], late[1], early[1]]
    assert [stored.load() for stored in read(interleaved).newest_first()] == [b"late", b"early"]


def test_chunks_of_a_killed_writer_are_not_a_snapshot() -> None:
    log = records("a")
    for kept in range(len(log)):
        assert list(read(log[:kept]).newest_first()) == []
    assert [stored.load() for stored in read([*log[:2], *records("b", b"b")]).newest_first()] == [b"b"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda log: [*log[:1], *log[2:]], "1 of 4 chunks are missing"),
        (lambda log: [log[0], (None, log[1][1][:-1], log[1][2]), *log[2:]], "decompress|hash|larger|end"),
        (lambda log: [*log[:-1], changed(log[-1], sha256="0" * 64)], "hash"),
        (lambda log: [*log[:-1], changed(log[-1], version=VERSION + 1)], "version 2"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=10)], "larger than the 10 bytes"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=-1)], "a size of"),
        (lambda log: [*log[:-1], changed(log[-1], bytes=len(DATA) + 1)], "end is missing"),
        (lambda log: [*log[:-1], changed(log[-1], chunks=9)], "5 of 9 chunks are missing"),
    ],
)
def test_a_damaged_snapshot_is_refused_with_a_reason(damage: Any, reason: str) -> None:
    (stored,) = read(damage(records("a"))).newest_first()
    with pytest.raises(SnapshotRefused, match=reason):
        stored.load()


@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_in_any_chunk_is_detected(chunk: int, at: float, bit: int) -> None:
    log = records("a")
    key, value, headers = log[chunk]
    assert value is not None
    flipped = bytearray(value)
    flipped[int(at * len(value))] ^= 1 << bit
    log[chunk] = key, bytes(flipped), headers
    (stored,) = read(log).newest_first()
    with suppress(SnapshotRefused):
        assert stored.load() == DATA  # a few bits of a deflate stream have no effect


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=20), st.dictionaries(st.sampled_from(["snapshot", "chunk"]), st.binary(max_size=4))
        )
    )
)
def test_foreign_records_are_refused_and_harm_no_snapshot(strange: list[tuple[bytes | None, dict[str, bytes]]]) -> None:
    log: list[Outgoing] = [(None, value, list(headers.items())) for value, headers in strange]
    snapshots = read([*log, *records("a", b"a")])
    assert [stored.load() for stored in snapshots.newest_first()] == [b"a"]
