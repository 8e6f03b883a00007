"""Snapshots as records of the `model` topic: compressed chunks, then the manifest. Pure.

A snapshot is complete once its manifest is there. Chunks that a killed writer left are ignored.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.errors import BadData
from streams.events.bounds import MAX_OFFSET
from streams.events.records import Offset
from streams.kafka.outbox import Outgoing

FORMAT = "ouzel-snapshot"
VERSION = 1
HASH = "sha256"
"""The header with the hash of a manifest."""
CHUNK_BYTES = 500_000
"""Any topic accepts a record of this size."""
MAX_BYTES = 8 << 30
"""A larger snapshot is rejected before memory is used for it."""
MAX_CHUNKS = MAX_BYTES // CHUNK_BYTES + 1
LONGEST_NUMBER = len(str(MAX_CHUNKS))
"""Digits of a chunk's number. Python refuses to read numbers of thousands of digits."""
PIECE_BYTES = 1 << 20
"""Bytes that are decompressed at once."""
START_BYTES = 1 << 17
"""Bytes that a check of a snapshot's start gets. They contain its header."""
MAX_EPOCH = 2**62
MAX_SNAPSHOT_EPOCH = MAX_EPOCH // 2
"""The learner after a snapshot has a higher epoch, which followers accept up to `MAX_EPOCH`."""
MOST_RANGES = 1000
"""Thinned ranges that a manifest keeps, the newest."""
MAX_CREATED_AT = 253_402_300_799_999
"""The end of the year 9999, in epoch ms."""


class SnapshotRefused(BadData):
    """A snapshot in the log cannot be used. The message is one line with the reason."""


Name = Annotated[str, Meta(max_length=100)]
Check = Callable[[bytes, int], object]
"""Raises `SnapshotRefused` unless a snapshot of this size may start with these bytes."""


class ThinnedRange(msgspec.Struct, array_like=True, frozen=True, order=True):
    """Offsets of the transitions log, from ``begin`` to before ``end``, in which one step trained.

    That is the first one of each ``every`` steps. The others were only counted: see
    `streams.training.thinning`.
    """

    begin: Offset
    end: Offset
    every: Annotated[int, Meta(ge=2, le=64)]


class Manifest(msgspec.Struct, kw_only=True):
    """Describes a snapshot in the log, and ends it.

    ``bytes`` and ``sha256`` are size and hash before compression. ``transitions_offset`` is the
    offset of the transitions log to learn next, and ``updates_offset`` the first offset of
    `model-updates` that the snapshot may lack. ``epoch`` is that of the learner that wrote it, and
    ``created_at`` is in epoch ms. ``thinned`` are the ranges of the log of which not every step
    trained.
    """

    format: Name = FORMAT
    version: int = VERSION
    snapshot: Name
    chunks: Annotated[int, Meta(ge=0, le=MAX_CHUNKS)]
    bytes: int
    sha256: Name
    transitions_offset: Offset
    epoch: Annotated[int, Meta(ge=0, le=MAX_SNAPSHOT_EPOCH)]
    steps: Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
    created_at: Annotated[int, Meta(ge=0, le=MAX_CREATED_AT)]
    updates_offset: Offset = 0
    thinned: Annotated[list[ThinnedRange], Meta(max_length=MOST_RANGES)] = []


decode_manifest = msgspec.json.Decoder(Manifest).decode


class Stored(msgspec.Struct):
    """A snapshot in the log: its manifest, its chunks by number, the offset of its first record.

    ``last`` is the offset of its manifest. ``intact`` is false if that has changed since it was
    written, according to its own hash. Earlier versions of Ouzel wrote manifests without a hash.
    ``largest`` is the most bytes that it may have.
    """

    manifest: Manifest
    chunks: dict[int, bytes]
    first: int
    last: int
    intact: bool = True
    largest: int = MAX_BYTES

    def load(self, check: Check | None = None) -> bytes:
        """Return the snapshot's bytes.

        ``check`` is called before all of them are decompressed. Raises `SnapshotRefused` if they
        are incomplete or damaged, or if ``check`` does.
        """
        manifest = self.manifest
        if manifest.version != VERSION:
            raise SnapshotRefused(
                "other_version", f"manifest of version {manifest.version}, this version of Ouzel reads {VERSION}"
            )
        missing = [number for number in range(manifest.chunks) if number not in self.chunks]
        if missing:
            raise SnapshotRefused("incomplete", f"{len(missing)} of {manifest.chunks} chunks are missing")
        if not 0 <= manifest.bytes <= self.largest:
            raise SnapshotRefused(
                "wrong_size", f"a size of {manifest.bytes} bytes, expected 0 to {self.largest} by OUZEL_MAX_ITEMS"
            )
        whole, size = io.BytesIO(), 0  # joining a list of pieces would need the memory twice
        try:
            for piece in _pieces([self.chunks[number] for number in range(manifest.chunks)]):
                whole.write(piece)
                size += len(piece)
                if size > manifest.bytes:
                    raise SnapshotRefused("wrong_size", f"it is larger than the {manifest.bytes} bytes of its manifest")
                if check is not None and (size >= START_BYTES or size == manifest.bytes):
                    check(bytes(whole.getbuffer()[:START_BYTES]), manifest.bytes)
                    check = None
        except zlib.error as error:
            raise SnapshotRefused("corrupt", f"its chunks do not decompress: {error}") from error
        except EOFError as error:
            raise SnapshotRefused("incomplete", "its end is missing") from error
        if size < manifest.bytes:
            raise SnapshotRefused("incomplete", "its end is missing")
        data = whole.getvalue()
        if hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise SnapshotRefused("corrupt", "its bytes do not match the hash of its manifest")
        if not self.intact:
            raise SnapshotRefused("corrupt", "its manifest does not match its own hash")
        return data


def _pieces(chunks: Sequence[bytes]) -> Iterator[bytes]:
    """Decompress chunks into pieces of at most `PIECE_BYTES`.

    Raises ``EOFError`` if the end is missing.
    """
    reader = zlib.decompressobj()
    for chunk in chunks:
        packed = chunk
        while packed and not reader.eof:
            yield reader.decompress(packed, PIECE_BYTES)
            packed = reader.unconsumed_tail
    if not reader.eof:
        raise EOFError


def to_records(
    data: bytes,
    snapshot: str,
    *,
    transitions_offset: int,
    epoch: int,
    steps: int,
    created_at: int,
    updates_offset: int = 0,
    thinned: Sequence[ThinnedRange] = (),
) -> tuple[list[Outgoing], Outgoing]:
    """Return the chunks and the manifest of a snapshot.

    ``snapshot`` is its name, and must be unique.
    """
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
        thinned=list(thinned),
    )
    value = msgspec.json.encode(manifest)
    return chunks, (None, value, [name, (HASH, hash_of(value))])


def hash_of(value: bytes) -> bytes:
    """Return what the header `HASH` of a manifest must be."""
    return hashlib.sha256(value).hexdigest().encode()
