"""Collects the snapshots in the `model` topic, in bounded memory. Pure."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from streams.errors import BadData
from streams.kafka.decoding import decoded
from streams.learning.model_log import CHUNK_BYTES, FORMAT, HASH, LONGEST_NUMBER, MAX_BYTES, Stored, decode_manifest, hash_of
from streams.wire.record import KafkaRecord

HELD = 4
"""How many of the largest snapshots the chunks in memory may be: two, a new one, and a rest."""
MOST_STORED = 100
"""Complete snapshots that are collected. The log has three, with one that is being replaced."""
MOST_REFUSED = 1000
"""Refused records that are listed."""
RECORD_BYTES = 1000
"""About the memory that a record takes besides its value."""


class RefusedRecord(NamedTuple):
    """The offset of a record of the `model` topic, and why it is not used."""

    offset: int
    why: str


class _Unfinished(msgspec.Struct):
    """A snapshot without a manifest: its chunks by number, their size, and the first offset."""

    first: int
    chunks: dict[int, bytes] = {}
    size: int = 0


class SnapshotLog:
    """Collects the snapshots in the `model` topic.

    ``refused`` has the records that are not a part of a snapshot. A snapshot has at most
    ``largest`` bytes. If what is collected has more than `HELD` times as many, the least useful
    snapshots are dropped: first those that are not finished, then those furthest back.
    """

    def __init__(self, largest: int = MAX_BYTES) -> None:
        self._unfinished: dict[bytes, _Unfinished] = {}
        self._stored: list[Stored] = []
        """The complete snapshots in the order of the transitions log, then of this one."""
        self._largest, self._held = min(max(largest, CHUNK_BYTES), MAX_BYTES), 0
        self.refused: list[RefusedRecord] = []

    def add(self, record: KafkaRecord) -> None:
        """Take the next record, in the order of the log."""
        headers = dict(record.headers or ())
        name, number, value = headers.get("snapshot"), headers.get("chunk"), record.value
        if name is None or value is None:
            self._refuse(record, "it is not a part of a snapshot")
        elif number is None:
            self._close(name, record, value, headers.get(HASH))
        elif number.isdigit() and len(number) <= LONGEST_NUMBER:
            self._put(name, record, int(number), value)
        else:
            self._refuse(record, "it is not a chunk")
        while self._held > HELD * self._largest or len(self._stored) > MOST_STORED:
            self._drop(name, record)

    def newest_first(self) -> Iterator[Stored]:
        """Return the complete snapshots, the furthest in the transitions log first.

        Of equals, the one that was written last comes first.
        """
        return reversed(self._stored)

    def _put(self, name: bytes, record: KafkaRecord, number: int, value: bytes) -> None:
        """Take a chunk of the snapshot of this name."""
        begun = self._unfinished.setdefault(name, _Unfinished(record.offset))
        more = len(value) + RECORD_BYTES - _size({number: begun.chunks[number]} if number in begun.chunks else {})
        begun.chunks[number], begun.size, self._held = value, begun.size + more, self._held + more
        if begun.size > self._largest + self._largest // 50 + CHUNK_BYTES:  # deflate may add a little
            self._held -= self._unfinished.pop(name).size
            self._refuse(record, f"its snapshot has more than {self._largest} bytes")

    def _close(self, name: bytes, record: KafkaRecord, value: bytes, wanted: bytes | None) -> None:
        """Take the manifest of the snapshot of this name, which ends it."""
        try:
            manifest = decoded(decode_manifest, value)
        except BadData as bad:
            self._refuse(record, f"it is not a manifest: {bad.detail}")
            return
        if manifest.format != FORMAT:
            self._refuse(record, f"it is not a manifest: its format is {manifest.format[:40]!r}, not {FORMAT!r}")
            return
        begun = self._unfinished.pop(name, _Unfinished(record.offset))
        intact = wanted is None or wanted == hash_of(value)
        stored = Stored(manifest, begun.chunks, begun.first, record.offset, intact, self._largest)
        insort(self._stored, stored, key=_place)
        self._held += RECORD_BYTES

    def _drop(self, name: bytes | None, record: KafkaRecord) -> None:
        """Drop the unfinished snapshot that began first, or else the complete one furthest back.

        An unfinished one of this name is not dropped: it is being read.
        """
        others = (other for other in self._unfinished if other != name)
        if len(self._stored) <= MOST_STORED and (other := next(others, None)) is not None:
            self._held -= self._unfinished.pop(other).size
        else:
            self._held -= _size(self._stored.pop(0).chunks) + RECORD_BYTES
        self._refuse(record, f"there are more than {MOST_STORED} snapshots or {HELD * self._largest} bytes, so one is dropped")

    def _refuse(self, record: KafkaRecord, why: str) -> None:
        if len(self.refused) < MOST_REFUSED:
            self.refused.append(RefusedRecord(record.offset, why))
        elif len(self.refused) == MOST_REFUSED:
            self.refused.append(RefusedRecord(record.offset, "so are others after it, which are not listed"))


def _place(stored: Stored) -> int:
    return stored.manifest.transitions_offset


def _size(chunks: Mapping[int, bytes]) -> int:
    """The memory of chunks in bytes."""
    return sum(map(len, chunks.values())) + len(chunks) * RECORD_BYTES
