"""A batch that a client cannot read becomes one stand-in, and all others are read as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st
from support.damage.damaged_log import CLIENTS, Stored, read
from support.damage.raw_batches import CODECS, DELTA_AT, RECORDS_AT, Raw, batch, bomb, flipped, sealed

from streams.wire.batches import MOST_EXPANDED, check
from streams.wire.unreadable import HEADER, Unreadable, unreadable

RECORDS = [Raw(b"ann", b"{}", [(b"trace", b"1"), (b"empty", None)]), Raw(None, None), Raw(b"", b"x" * 100)]
OTHERS = RECORDS * 3
BASE_BYTES = 8
BASE, LAST = len(OTHERS), len(OTHERS) + len(RECORDS) - 1
"""The offsets of the batch in the middle of a `log_with`."""
both = pytest.mark.parametrize("client", CLIENTS)


def log_with(data: bytes, last: int = LAST) -> list[Stored]:
    """A log of three batches, of which the middle one is this one."""
    return [
        Stored(batch(OTHERS, codec="lz4"), BASE - 1),
        Stored(data, last),
        Stored(batch(OTHERS, base=last + 1, codec="zstd"), last + len(OTHERS)),
    ]


def content(record: Any) -> tuple[Any, ...]:
    return record.offset, record.key, record.value, list(record.headers)


GOOD = batch(RECORDS, base=BASE)
ZSTD = batch(RECORDS, base=BASE, codec="zstd")


@both
@pytest.mark.parametrize("codec", CODECS)
def test_a_log_of_any_codec_is_read_as_it_was_written(codec: str, client: str) -> None:
    found = read(log_with(batch(RECORDS, base=BASE, codec=codec)), client)
    assert [record.offset for record in found] == list(range(LAST + len(OTHERS) + 1))
    expected = [(raw.key, raw.value, [(name.decode(), value) for name, value in raw.headers]) for raw in RECORDS]
    assert [content(record)[1:] for record in found[BASE : LAST + 1]] == expected
    assert all(unreadable(record) is None for record in found)


DAMAGED: dict[str, tuple[bytes, str]] = {
    "checksum": (flipped(GOOD, RECORDS_AT + 5), "checksum is wrong"),
    "compressed": (batch(RECORDS, base=BASE, codec="zstd", compressed=b"no zstd at all"), "cannot be decompressed"),
    "cut": (batch(RECORDS, base=BASE, codec="lz4", compressed=ZSTD[RECORDS_AT:]), "cannot be decompressed"),
    "bomb": (batch(RECORDS, base=BASE, codec="zstd", compressed=bomb(200_000_000)), "expands to more than"),
    "codec": (sealed(GOOD[:22] + b"\x06" + GOOD[23:]), "unknown number 6"),
    "too many": (batch(RECORDS, base=BASE, count=9), "cannot be read"),
    "too few": (batch(RECORDS, base=BASE, count=1), "cannot be read"),
    "offset ahead": (batch([Raw(b"k", b"v", delta=10**6), *RECORDS[1:]], base=BASE), "a record of offset 1000009"),
    "offset twice": (batch([raw._replace(delta=1) for raw in RECORDS], base=BASE), "a record of offset 10 after 10"),
    "version": (GOOD[:16] + b"\x09" + GOOD[17:], "are not a batch"),
    "marker": (batch([Raw(None, b"")], base=BASE, last=LAST - BASE, attributes=0x20), ""),
}


@both
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_batch_becomes_one_record_that_says_so(damage: str, client: str) -> None:
    data, why = DAMAGED[damage]
    found = read(log_with(data), client)
    assert [record.offset for record in found] == [*range(BASE), LAST, *range(LAST + 1, LAST + 1 + len(OTHERS))]
    (record,) = [record for record in found if unreadable(record) is not None]
    missing = unreadable(record)
    assert missing is not None
    assert (missing.first, missing.last) == (BASE, LAST)
    assert why in missing.why
    assert (record.key, record.value, record.timestamp) == (None, data, -1)


@both
@pytest.mark.parametrize(
    "data",
    [
        GOOD[:8] + b"\x7f\xff\xff\xff" + GOOD[12:],
        GOOD[:8] + b"\xff\xff\xff\xf4" + GOOD[12:],
        GOOD[:8] + bytes(4) + GOOD[12:],
        flipped(GOOD, 0, 6),
        flipped(GOOD, DELTA_AT, 7),
        sealed(flipped(GOOD, DELTA_AT, 6)),
        b"\xff" * 80,
        bytes(80),
        b"short",
    ],
    ids=["length", "negative length", "no length", "base", "negative end", "end", "ones", "zeros", "short"],
)
def test_a_batch_whose_header_is_nonsense_is_passed(data: bytes, client: str) -> None:
    """Where its bytes end, the next batch says which offsets it covers; else they are tried."""
    found = read(log_with(data), client)
    assert [content(record)[:1] for record in found[:BASE]] == [(offset,) for offset in range(BASE)]
    assert [record.offset for record in found[-len(OTHERS) :]] == list(range(LAST + 1, LAST + 1 + len(OTHERS)))
    missing = [unreadable(record) for record in found[BASE : -len(OTHERS)]]
    assert [offset for each in missing if each for offset in range(each.first, each.last + 1)] == list(range(BASE, LAST + 1))


@both
@pytest.mark.parametrize("codec", CODECS)
def test_a_name_of_a_header_that_is_not_utf8_costs_no_record(codec: str, client: str) -> None:
    """Brokers accept it from clients that write names as bytes. Only its own bytes are changed."""
    odd = Raw(b"k", b"v", [(b"\xffid", b"\xff"), (b"caf\xe9", None), ("né".encode(), b"2"), (b"", b"3"), (None, b"4")])  # type: ignore[list-item]
    records = [RECORDS[0], odd, Raw(b"only a key", None, [(b"\x80" * 300, b"x" * 300)]), RECORDS[2]]
    found = read(log_with(batch(records, base=BASE, codec=codec), BASE + 3), client)
    assert [record.offset for record in found] == list(range(BASE + 4 + len(OTHERS)))
    assert all(unreadable(record) is None for record in found)
    first, second, third, fourth = found[BASE : BASE + 4]
    assert content(first)[1:] == (b"ann", b"{}", [("trace", b"1"), ("empty", None)])
    assert content(second)[1:] == (b"k", b"v", [("\\xffid", b"\xff"), ("caf\\xe9", None), ("né", b"2"), ("", b"3"), ("", b"4")])
    assert content(third)[1:] == (b"only a key", None, [("\\x80" * 300, b"x" * 300)])
    assert content(fourth)[1:3] == (b"", b"x" * 100)


def test_a_read_from_within_a_damaged_batch_names_only_its_rest() -> None:
    checked = check(DAMAGED["checksum"][0], BASE + 1, 100)
    assert checked.data == b""
    assert checked.unreadable == Unreadable(BASE + 1, LAST, "its checksum is wrong")


def test_a_wrong_end_of_the_log_is_not_believed() -> None:
    """The embedded broker reports ends that are too small."""
    assert check(GOOD, BASE, BASE).data == GOOD
    assert check(GOOD, BASE, -1).data == GOOD


def test_the_end_of_an_answer_may_be_cut() -> None:
    for size in range(len(GOOD), 2 * len(GOOD)):
        checked = check((GOOD + batch(RECORDS, base=LAST + 1))[:size], BASE, 100)
        assert checked == (GOOD, None, b"")


def test_batches_that_need_no_change_are_passed_on_without_a_copy() -> None:
    data = GOOD + batch(RECORDS, base=LAST + 1)
    assert check(data, BASE, 100).data is data


def test_one_answer_expands_to_a_few_megabytes_and_the_rest_is_fetched_again() -> None:
    half = Raw(b"k", bytes(MOST_EXPANDED * 2 // 3))
    answer = b"".join(batch([half], base=offset, codec="zstd") for offset in range(3))
    assert len(answer) < 2000
    assert MOST_EXPANDED // 2 < len(check(answer, 0, 3).data) < MOST_EXPANDED
    log = [Stored(batch([half], base=offset, codec="zstd"), offset) for offset in range(3)]
    assert [record.offset for record in read(log, "aiokafka", 4)] == [0, 1, 2]


def test_no_producer_can_make_a_stand_in() -> None:
    (found,) = read([Stored(batch([Raw(None, b"{}", [(HEADER.encode(), b"0 because I say so")])]), 0)], "aiokafka")
    assert unreadable(found) is None


@both
def test_an_old_format_is_read_and_its_damage_passed(client: str) -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1000)
    builder.append(0, 1000, b"ann", b"{}")
    old = bytes(builder.build())
    log = [Stored(old, 0), Stored(batch(RECORDS, base=1), len(RECORDS))]
    assert [record.key for record in read(log, client)] == [b"ann", *(raw.key for raw in RECORDS)]
    found = read([Stored(flipped(old, len(old) - 1), 0), log[1]], client)
    assert unreadable(found[0]) == Unreadable(0, 0, "its checksum is wrong")


mutations = st.lists(
    st.one_of(
        st.builds(lambda at, bit: lambda data: flipped(data, at % len(data), bit), st.integers(0, 10**6), st.integers(0, 7)),
        st.builds(
            lambda at, noise, gone: lambda data: data[: at % len(data)] + noise + data[at % len(data) + gone :] or b"x",
            st.integers(0, 10**6), st.binary(max_size=6), st.integers(0, 6),
        ),
        st.builds(
            lambda at, word: lambda data: data[:at] + word + data[at + len(word) :],
            st.integers(0, 70),
            st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", bytes(4), bytes(8), b"\x7f" + b"\xff" * 7]),
        ),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@given(
    st.sampled_from(list(CLIENTS)),
    st.sampled_from(list(CODECS)),
    mutations,
    st.none() | st.integers(0, 8 * 15 - 1),
    st.booleans(),
)
def test_whatever_a_batch_is_the_others_are_read_and_the_log_is_passed(
    client: str, codec: str, mutate: list[Callable[[bytes], bytes]], flip: int | None, seal: bool
) -> None:
    """With a checksum that fits, the damage reaches the decompression and the parsers.

    Two fields stay: no checksum covers the base offset, and brokers check the last offset.
    """
    data, intact = batch(RECORDS, base=BASE, codec=codec), DELTA_AT + 4
    for change in mutate:
        data = data[:intact] + change(data[intact:])
    if flip is not None:
        data = flipped(data, BASE_BYTES + flip // 8, flip % 8)
    if seal:
        data = sealed(data)
    found = read(log_with(data), client)
    offsets = [record.offset for record in found]
    assert offsets == sorted(set(offsets))
    assert offsets[:BASE] == list(range(BASE))
    assert offsets[-len(OTHERS) :] == list(range(LAST + 1, LAST + 1 + len(OTHERS)))


@given(st.sampled_from(list(CLIENTS)), st.binary(max_size=200))
def test_whatever_bytes_a_log_has_it_is_passed(client: str, data: bytes) -> None:
    found = read(log_with(data), client)
    assert [record.offset for record in found[:BASE]] == list(range(BASE))
    assert found[-1].offset == LAST + len(OTHERS)


@both
@pytest.mark.parametrize("bit", range(5))
def test_a_damaged_last_offset_hides_nothing_of_the_next_batch(client: str, bit: int) -> None:
    found = read(log_with(flipped(GOOD, DELTA_AT + 3, bit)), client)
    assert unreadable(found[BASE]) == Unreadable(BASE, LAST, "its checksum is wrong")
    assert [record.offset for record in found[BASE + 1 :]] == list(range(LAST + 1, LAST + 1 + len(OTHERS)))
