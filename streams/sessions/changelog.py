"""Tells recovery which changelog records are ours, and which version of a key wins.

Every stored value begins with 8 bytes of source offset, so versions are compared without decoding.
`streams.engine.recovery` uses this module as its `ChangelogFormat`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.errors import BadData
from streams.events.bounds import MAX_OFFSET
from streams.kafka.decoding import decoded
from streams.sessions.deletion import MARKER, deleted_at
from streams.sessions.step import unpack
from streams.sessions.store import STATE_KEYS, WATERMARK, WATERMARK_BYTES
from streams.wire.record import KafkaRecord

LONGEST_KEY = 10_000

Version = tuple[int, bytes | None]
"""A source offset and the value as of that offset, which is ``None`` for a removed key."""


def source_offset(record: KafkaRecord) -> int:
    """Return the source offset of a record, from the start of its value or a tombstone's header."""
    if record.value is not None:
        return int.from_bytes(record.value[:8], "big")
    return int(dict(record.headers or ()).get("offset", b"-1"))


def ours(record: KafkaRecord) -> bool:
    """Return whether Ouzel can have written this changelog record.

    Raises `NewerState` if a later version of Ouzel wrote it.
    """
    key, value = record.key, record.value
    try:
        if key is None or not 0 <= source_offset(record) <= MAX_OFFSET:
            return False
        if key == WATERMARK:
            return value is not None and len(value) == WATERMARK_BYTES
        if key[:2] not in STATE_KEYS or len(key) > LONGEST_KEY:
            return False
        if value is None:
            return True
        decoded(deleted_at if key.startswith(MARKER) else unpack, value)
    except (BadData, TypeError, ValueError):  # the header of a tombstone may hold anything
        return False
    return True


def newest(
    records: Iterable[KafkaRecord], stored: Callable[[bytes], bytes | None], removed: dict[bytes, int]
) -> dict[bytes, Version]:
    """Return what to write: each key's highest source offset, unless a newer one is stored.

    Compaction keeps the last record of a key, which may be a zombie's. Nothing is stored for a
    removed key, so ``removed`` keeps the source offsets of removals for as long as recovery lasts;
    this function adds to it. All records have to be `ours`.
    """
    best: dict[bytes, Version] = {}
    for record in records:
        if record.key is None:
            continue
        offset = source_offset(record)
        if offset >= best.get(record.key, (-1, None))[0]:
            best[record.key] = (offset, record.value)
    wins: dict[bytes, Version] = {}
    for key, (offset, value) in best.items():
        current = stored(key)
        known = int.from_bytes(current[:8], "big") if current is not None else removed.get(key, -1)
        if offset >= known:
            wins[key] = (offset, value)
            if value is None:
                removed[key] = offset
    return wins


def next_offset(stored: Callable[[bytes], bytes | None]) -> int:
    """Return the offset of the partition's next event: the one after the watermark."""
    mark = stored(WATERMARK)
    return 0 if mark is None else int.from_bytes(mark, "big") + 1
