"""Snapshots in the log: only complete ones with the right hash are used, in any order."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.layout import largest_snapshot
from models.registry import build
from models.snapshot import START, take
from streams.kafka.outbox import Outgoing
from streams.learning.model_log import (
    CHUNK_BYTES,
    MAX_BYTES,
    MAX_EPOCH,
    MAX_SNAPSHOT_EPOCH,
    START_BYTES,
    VERSION,
    Manifest,
    SnapshotRefused,
    to_records,
)
from streams.learning.restoring import check_start
from streams.learning.snapshot_log import HELD, MOST_REFUSED, MOST_STORED, SnapshotLog
from streams.training.epochs import Epochs
from streams.wire.record import Record

DATA = random.Random(0).randbytes(3 * CHUNK_BYTES)


def records(name: str, data: bytes = DATA, offset: int = 100) -> list[Outgoing]:
    chunks, manifest = to_records(data, name, transitions_offset=offset, epoch=1, steps=5, created_at=0)
    return [*chunks, manifest]


def read(log: Iterable[Outgoing], largest: int = MAX_BYTES) -> SnapshotLog:
    snapshots = SnapshotLog(largest)
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


# bounds


def peak(action: Callable[[], object]) -> int:
    """The most bytes that were allocated at once during the action."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMB = bytes(200 << 20)
"""Compressed it has 900 kB."""


def test_a_bomb_that_is_larger_than_the_settings_allow_takes_no_memory() -> None:
    (stored,) = read(records("bomb", BOMB), largest_snapshot(256)).newest_first()

    def load() -> None:
        with pytest.raises(SnapshotRefused, match=f"a size of {len(BOMB)} bytes, expected 0 to {largest_snapshot(256)}"):
            stored.load()

    assert peak(load) < 1 << 20


def test_a_bomb_within_the_bound_is_refused_at_its_start() -> None:
    (stored,) = read(records("bomb", BOMB), largest_snapshot(50_000)).newest_first()

    def load() -> None:
        with pytest.raises(SnapshotRefused, match="not a model snapshot"):
            stored.load(check_start)

    assert peak(load) < 8 << 20


def test_a_bomb_with_the_header_of_a_snapshot_is_refused_at_its_start() -> None:
    start = take("markov", build("markov", 0, max_items=256))
    (stored,) = read(records("bomb", start + BOMB), largest_snapshot(50_000)).newest_first()

    def load() -> None:
        with pytest.raises(SnapshotRefused, match="asks for"):
            stored.load(check_start)

    assert peak(load) < 8 << 20


def test_a_snapshot_is_in_memory_once_while_it_is_loaded() -> None:
    data = BOMB[: 64 << 20]
    (stored,) = read(records("large", data)).newest_first()
    assert peak(stored.load) < 1.2 * len(data)


def test_a_check_gets_the_start_even_if_the_snapshot_is_small() -> None:
    for data in (b"small", DATA):
        (stored,) = read(records("a", data)).newest_first()
        seen: list[tuple[bytes, int]] = []
        assert stored.load(lambda start, size, seen=seen: seen.append((start, size))) == data  # type: ignore[misc]
        assert seen == [(data[:START_BYTES], len(data))]
    assert START_BYTES >= START


def test_a_flood_of_chunks_takes_bounded_memory_and_the_snapshots_before_it_stay() -> None:
    largest = 4 * CHUNK_BYTES
    before = records("a")
    flood = [(None, bytes(CHUNK_BYTES), [("snapshot", f"{n // 9}".encode()), ("chunk", f"{n % 9}".encode())]) for n in range(400)]
    after = records("b", offset=200)
    log = read([*before, *flood, *after], largest)
    assert log._held <= HELD * largest
    assert [stored.load() for stored in log.newest_first()] == [DATA, DATA]
    assert f"its snapshot has more than {largest} bytes" in {record.why for record in log.refused}


def test_a_flood_of_unfinished_snapshots_takes_bounded_memory() -> None:
    largest = 4 * CHUNK_BYTES
    flood: list[Outgoing] = [(None, bytes(1000), [("snapshot", f"{n}".encode()), ("chunk", b"0")]) for n in range(20_000)]
    log = read([*records("a"), *flood, *records("b", offset=200)], largest)
    assert log._held <= HELD * largest
    assert len(log._unfinished) < 5000
    assert [stored.load() for stored in log.newest_first()] == [DATA, DATA]
    assert len(log.refused) == MOST_REFUSED + 1


def test_a_flood_of_manifests_leaves_the_furthest_ones() -> None:
    (*_, manifest) = records("none", b"")
    flood = [changed(manifest, transitions_offset=n % 1000, chunks=0) for n in range(5000)]
    log = read([*flood, *records("a", offset=2000)])
    offsets = [stored.manifest.transitions_offset for stored in log.newest_first()]
    assert len(offsets) == MOST_STORED
    assert offsets[:3] == [2000, 999, 999]


def test_of_more_snapshots_than_fit_into_memory_the_furthest_ones_are_used() -> None:
    largest = len(DATA)
    log = read([record for n in range(12) for record in records(f"s{n}", offset=n)], largest)
    offsets = [stored.manifest.transitions_offset for stored in log.newest_first()]
    assert offsets[:3] == [11, 10, 9]
    assert len(offsets) <= HELD
    assert len(log.refused) == 12 - len(offsets)
    assert next(log.newest_first()).load() == DATA


@pytest.mark.parametrize(
    "fields",
    [
        {"chunks": 10**12},
        {"chunks": -1},
        {"snapshot": "x" * 1000},
        {"sha256": "x" * 1000},
        {"format": "x" * 1000},
        {"epoch": MAX_EPOCH},
        {"epoch": -1},
        {"steps": 2**60},
        {"transitions_offset": 2**60},
        {"updates_offset": -1},
        {"created_at": 10**18},
    ],
    ids=repr,
)
def test_a_manifest_beyond_the_schema_is_refused_before_its_snapshot_is_read(fields: dict[str, Any]) -> None:
    *chunks, manifest = records("a")
    log = read([*chunks, changed(manifest, **fields)])
    assert list(log.newest_first()) == []
    ((_, why),) = log.refused
    assert why.startswith("it is not a manifest: ")
    assert len(why) < 300


def test_a_learner_after_any_snapshot_has_an_epoch_that_followers_accept() -> None:
    epochs = Epochs()
    assert epochs.begin(2**31, MAX_SNAPSHOT_EPOCH) < MAX_EPOCH
