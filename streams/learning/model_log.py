"""Snapshots as records of the `model` topic: compressed chunks, then the manifest. Pure: no Kafka, no clock, no model.

A snapshot is whole once its manifest is there; what a killed writer left behind is never taken for one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from streams.errors import BadData
from streams.kafka.decoding import decoded
from streams.kafka.outbox import Outgoing

FORMAT = "ouzel-snapshot"
VERSION = 1
CHUNK_BYTES = 500_000
MAX_BYTES = 8 << 30


class SnapshotRefused(BadData):
    """A snapshot in the log that cannot be used, and why; one line."""


class Manifest(msgspec.Struct, kw_only=True):
    """What a snapshot in the log says of itself.

    ``transitions_offset`` is the next one of the transitions log to learn, ``epoch`` that of the learner that wrote
    it, ``bytes`` the size before compression and ``sha256`` the hash of that; ``created_at`` is epoch ms.
    ``updates_offset`` is the first one of `model-updates` that it may lack.
    """

    format: str = FORMAT
    version: int = VERSION
    snapshot: str
    chunks: int
    bytes: int
    sha256: str
    transitions_offset: int
    epoch: int
    steps: int
    created_at: int
    updates_offset: int = 0


_decode = msgspec.json.Decoder(Manifest).decode


class Stored(msgspec.Struct):
    """A snapshot in the log: its manifest, its chunks by number, and the offset of its first record."""

    manifest: Manifest
    chunks: dict[int, bytes]
    first: int

    def load(self) -> bytes:
        """The snapshot's bytes. Raises `SnapshotRefused`."""
        told = self.manifest
        if told.version != VERSION:
            raise SnapshotRefused("other_version", f"manifest of version {told.version}, this program reads {VERSION}")
        missing = [number for number in range(told.chunks) if number not in self.chunks]
        if missing:
            raise SnapshotRefused("incomplete", f"{len(missing)} of {told.chunks} chunks are missing")
        if not 0 <= told.bytes <= MAX_BYTES:
            raise SnapshotRefused("wrong_size", f"a size of {told.bytes} bytes")
        reader, parts = zlib.decompressobj(), list[bytes]()
        size = 0
        try:
            for number in range(told.chunks):
                parts.append(reader.decompress(self.chunks[number], told.bytes - size + 1))
                size += len(parts[-1])
                if size > told.bytes:
                    raise SnapshotRefused("wrong_size", "it is larger than it says")
        except zlib.error as error:
            raise SnapshotRefused("corrupt", f"its chunks do not decompress: {error}") from error
        data = b"".join(parts)
        if size < told.bytes or not reader.eof:
            raise SnapshotRefused("incomplete", "its end is missing")
        if hashlib.sha256(data).hexdigest() != told.sha256:
            raise SnapshotRefused("corrupt", "its bytes are not those that its hash was taken of")
        return data


def to_records(
    data: bytes, snapshot: str, *, transitions_offset: int, epoch: int, steps: int, created_at: int, updates_offset: int = 0
) -> tuple[list[Outgoing], Outgoing]:
    """The chunks and the manifest of a snapshot under a name that no other has."""
    writer = zlib.compressobj(1)
    packed = writer.compress(data) + writer.flush()
    name = ("snapshot", snapshot.encode())
    chunks: list[Outgoing] = [
        (None, packed[at : at + CHUNK_BYTES], [name, ("chunk", str(number).encode())])
        for number, at in enumerate(range(0, len(packed), CHUNK_BYTES))
    ]
    manifest = Manifest(
        snapshot=snapshot,
        chunks=len(chunks),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        transitions_offset=transitions_offset,
        epoch=epoch,
        steps=steps,
        created_at=created_at,
        updates_offset=updates_offset,
    )
    return chunks, (None, msgspec.json.encode(manifest), [name])


class SnapshotLog:
    """Gathers the records of the `model` topic, in log order."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, dict[int, bytes]] = {}
        self._first: dict[bytes, int] = {}
        self._stored: list[Stored] = []
        self.refused: list[str] = []

    def add(self, record: Any) -> None:
        """Take the next record; one that is neither chunk nor manifest is refused."""
        headers = dict(record.headers or ())
        name, number, value = headers.get("snapshot"), headers.get("chunk"), record.value
        if name is None or value is None:
            self.refused.append(f"offset {record.offset} is no part of a snapshot")
        elif number is None:
            self._close(name, record)
        elif number.isdigit():
            self._chunks.setdefault(name, {})[int(number)] = value
            self._first.setdefault(name, record.offset)
        else:
            self.refused.append(f"offset {record.offset} is no chunk")

    def newest_first(self) -> Iterator[Stored]:
        """Those with a manifest, the one furthest in the transitions log first, of equals the last written."""
        numbered = enumerate(self._stored)
        order = sorted(numbered, key=lambda pair: (pair[1].manifest.transitions_offset, pair[0]), reverse=True)
        return (stored for _, stored in order)

    def _close(self, name: bytes, record: Any) -> None:
        try:
            manifest = decoded(_decode, record.value)
        except BadData as bad:
            self.refused.append(f"offset {record.offset} is no manifest: {bad.detail}")
            return
        if manifest.format != FORMAT:
            self.refused.append(f"offset {record.offset} is no manifest: {manifest.format[:40]!r}")
            return
        chunks, first = self._chunks.pop(name, {}), self._first.pop(name, record.offset)
        self._stored.append(Stored(manifest, chunks, first))
