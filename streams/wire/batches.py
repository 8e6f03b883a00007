"""Checks the bytes of a fetch before a Kafka client parses them.

A client raises an error for a batch that it cannot read, forgets which one it was, and fetches it
again, for ever. So the clients get only batches that they can read, with their records already
decompressed. A stand-in takes the place of every other batch: see `streams.wire.unreadable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.errors import BadData
from streams.wire.codecs import decompress
from streams.wire.layout import CODEC_BITS, CONTROL_BIT, FRAME, HEADER, with_readable_names, with_records
from streams.wire.unreadable import Unreadable

MAGIC_AT = 16
LEAST_LEGACY = 26
CONTROL_KEY_BYTES = 4
MOST_SHOWN = 1_000_000
NO_TIME = -1
"""Kafka's value for a record without a time."""
MOST_EXPANDED = 8 << 20
"""Once the decompressed batches of one answer have so many bytes, the rest is fetched again."""


class Checked(NamedTuple):
    """The batches that a client can read, up to the first that it cannot read, if there is one.

    ``damaged`` has the bytes of that one, at most `MOST_SHOWN`.
    """

    data: bytes
    unreadable: Unreadable | None = None
    damaged: bytes = b""


class _Record(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...


class Batch(Protocol):
    """A batch as one of the clients parses it: an iterable of records.

    `check` calls `validate_crc` once, and then iterates over the batch. Both may raise any error if
    the bytes are damaged.
    """

    def validate_crc(self) -> bool: ...
    def __iter__(self) -> Iterator[_Record]: ...


class Parse(Protocol):
    """Makes a batch of its bytes, as a client does."""

    def __call__(self, data: bytes) -> Batch: ...


def parse_by_aiokafka(data: bytes) -> Batch:
    """Return the batch as aiokafka parses it."""
    batch: Batch = MemoryRecords(data).next_batch()
    return batch


class _Damaged(BadData):
    """A batch cannot be read. ``detail`` says why."""


def check(data: bytes, position: int, end: int, parse: Parse = parse_by_aiokafka) -> Checked:
    """Return the batches of one answer to a fetch, decompressed, as far as they can be read.

    ``position`` is the offset that was asked for, and ``end`` the end of the log in the answer. A
    last batch that is incomplete is left out, as brokers cut an answer at its maximum size. So are
    batches after `MOST_EXPANDED` bytes, and those of another version than the first.
    """
    kept, at, size, expected = list[bytes](), 0, 0, position
    while at < len(data):
        stop = _end_of_frame(data, at)
        if stop is None and at:
            break
        try:
            if stop is None:
                raise _Damaged("frame", "its length is wrong, or its end is missing")
            batch, first, last = _read(data[at:stop], expected, end, parse)
            if kept and first < expected:
                raise _Damaged("offsets", f"it claims to begin at offset {first}, but {expected} is expected")
        except BadData as damaged:
            batch = data[at:stop][:MOST_SHOWN]
            first, last = (expected, expected) if stop is None else _range_of(batch, expected, end, _base_at(data, stop))
            return Checked(_joined(kept, data, at), Unreadable(first, last, damaged.detail), batch)
        size += len(batch)
        if kept and (size > MOST_EXPANDED or batch[MAGIC_AT] != kept[0][MAGIC_AT]):
            break  # aiokafka takes the version of the first batch for that of all
        kept.append(batch)
        at, expected = stop, last + 1
    return Checked(_joined(kept, data, at))


def stand_in(unreadable: Unreadable, damaged: bytes) -> bytes:
    """Return a batch of one record that takes the place of an unreadable one."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, len(damaged) + 1000)
    builder.append(unreadable.last - unreadable.first, NO_TIME, None, damaged, [unreadable.mark()])
    data = bytes(builder.build())
    return FRAME.pack(unreadable.first, len(data) - FRAME.size) + data[FRAME.size :]


def _joined(kept: list[bytes], data: bytes, at: int) -> bytes:
    """Return the batches in one piece: ``data`` itself, if they are all of it."""
    joined = b"".join(kept)
    return data if at == len(data) == len(joined) else joined


def _end_of_frame(data: bytes, at: int) -> int | None:
    """Return where a batch ends; ``None`` if that is not within the data."""
    if len(data) - at < FRAME.size:
        return None
    length = FRAME.unpack_from(data, at)[1]
    stop: int = at + FRAME.size + length
    return stop if length >= 0 and stop <= len(data) else None


def _read(batch: bytes, expected: int, end: int, parse: Parse) -> tuple[bytes, int, int]:
    """Return a batch without compression, and the first and last offset that it covers.

    Raises `BadData` if a client could not read it, or would seek to a wrong offset after it.
    """
    if len(batch) < LEAST_LEGACY or (magic := batch[MAGIC_AT]) > 2 or (magic == 2 and len(batch) < HEADER.size):
        raise _Damaged("frame", f"its {len(batch)} bytes are not a batch")
    if not _intact(batch, parse):
        raise _Damaged("checksum", "its checksum is wrong")
    first, last = _covered(batch)
    if not _plausible(last, expected, end):
        raise _Damaged("offsets", f"it claims to end at offset {last}, but {expected} is expected in a log that ends at {end}")
    if magic == 2:
        batch = _plain(batch)
    try:
        batch, records = _records(batch, parse)
    except Exception as error:  # the parsers of both clients raise errors of many kinds
        raise _Damaged("records", f"its records cannot be read ({type(error).__name__})") from error
    if magic == 2:
        _check_records(batch, records, first, last)
    return batch, first, last


def _records(batch: bytes, parse: Parse) -> tuple[bytes, list[tuple[int, bytes | None]]]:
    """Return the batch, with readable names of headers, and its records."""
    try:
        return batch, [(record.offset, record.key) for record in parse(batch)]
    except Exception:
        readable = with_readable_names(batch) if batch[MAGIC_AT] == 2 else batch
        if readable == batch:
            raise
        return readable, [(record.offset, record.key) for record in parse(readable)]


def _intact(batch: bytes, parse: Parse) -> bool:
    try:
        return parse(batch).validate_crc()
    except Exception:  # see `_read`
        return False


def _covered(batch: bytes) -> tuple[int, int]:
    """Return the first and the last offset according to a batch's header.

    A batch of an old format has one offset, that of its last record.
    """
    if batch[MAGIC_AT] < 2:
        offset = FRAME.unpack_from(batch)[0]
        return offset, offset
    base, *_, delta, _, _, _, _, _, _ = HEADER.unpack_from(batch)
    return base, base + delta if delta >= 0 else -1


def _plausible(last: int, expected: int, end: int) -> bool:
    """Return whether a batch may end at this offset.

    There is a batch at ``expected``, so an end of the log that is not beyond it is not believed.
    """
    return expected <= last and (last < end or end <= expected)


def _plain(batch: bytes) -> bytes:
    """Return a batch of version 2 with its records decompressed."""
    codec = HEADER.unpack_from(batch)[5] & CODEC_BITS
    return with_records(batch, decompress(codec, batch[HEADER.size :])) if codec else batch


def _check_records(batch: bytes, records: list[tuple[int, bytes | None]], first: int, last: int) -> None:
    """Raise if the offsets do not rise from first to last, or if a transaction's marker has no key.

    Brokers do not check the offsets of single records.
    """
    before = first - 1
    for offset, _ in records:
        if not before < offset <= last:
            raise _Damaged("offsets", f"it has a record of offset {offset} after {before}, and should end at {last}")
        before = offset
    if HEADER.unpack_from(batch)[5] & CONTROL_BIT and not (records and len(records[0][1] or b"") >= CONTROL_KEY_BYTES):
        raise _Damaged("records", "it is the marker of a transaction, but does not say of which kind")


def _base_at(data: bytes, at: int) -> int:
    """Return the base offset of the batch that begins there; -1 if none does."""
    base: int = FRAME.unpack_from(data, at)[0] if len(data) - at >= FRAME.size else -1
    return base


def _range_of(batch: bytes, expected: int, end: int, following: int) -> tuple[int, int]:
    """Return the first and last offset of a batch that cannot be read, which is never empty.

    Its header may be damaged. So the batch ends where the ``following`` one begins, if that is
    known, and else where its header says. If neither is plausible, it counts as one offset.
    """
    first, last = _covered(batch) if len(batch) >= HEADER.size else (expected, expected)
    if expected < following <= end:
        last = following - 1
    if not _plausible(last, expected, end):
        return expected, expected
    return (first if expected <= first <= last else expected), last
