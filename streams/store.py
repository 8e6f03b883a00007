"""Session states in RocksDB, one database per partition of the events topic, written once per unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rocksdict import Rdict, WriteBatch

from streams.delivery.outbox import NO_HEADERS, Outgoing
from streams.sessions import expired, unpack

WATERMARK = b"\x00watermark"
"""The reserved key of the last source offset done; a state key always begins with ``u:`` or ``s:``."""
SWEEP_KEYS = 256
SWEEP_EVERY_MS = 1000


@dataclass(slots=True)
class Changes:
    """What a unit does to one partition. Each state has its source offset; ``None`` as a value removes it."""

    watermark: int
    states: dict[bytes, tuple[int, bytes | None]] = field(default_factory=dict)

    def changelog(self) -> Iterator[Outgoing]:
        """The changelog's records, the watermark last. A tombstone tells its source offset in a header."""
        for key, (offset, value) in self.states.items():
            yield key, value, [("offset", str(offset).encode())] if value is None else NO_HEADERS
        yield WATERMARK, watermark_value(self.watermark), NO_HEADERS


def watermark_value(offset: int) -> bytes:
    """The stored form of a watermark: the same 8 bytes of source offset that every value begins with."""
    return offset.to_bytes(8, "big")


class SessionStore(Protocol):
    """Where the journey keeps its sessions."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The stored state."""
        ...

    def watermark(self, partition: int) -> int:
        """The last source offset done; -1 before the first."""
        ...

    def expired(self, partition: int, now_ms: int, ttl_ms: int) -> list[bytes]:
        """Some keys whose sessions have expired by Kafka time."""
        ...

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        """Apply a unit in one write batch."""
        ...


class RocksStore:
    """`SessionStore` over the databases of a Faust table.

    ``database`` gives a partition's database; ``offset_key`` is where Faust keeps the last changelog offset applied.
    """

    def __init__(self, database: Callable[[int], Rdict], offset_key: bytes) -> None:
        self._database = database
        self._offset_key = offset_key
        self._swept: dict[int, tuple[int, bytes]] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        value: bytes | None = self._database(partition).get(key)
        return value

    def watermark(self, partition: int) -> int:
        value = self.get(partition, WATERMARK)
        return -1 if value is None else int.from_bytes(value, "big")

    def expired(self, partition: int, now_ms: int, ttl_ms: int) -> list[bytes]:
        """Looks at the next few keys at most once a second of Kafka time, round and round, so no unit waits for a sweep."""
        swept_at, cursor = self._swept.get(partition, (0, b"s:"))
        if now_ms - swept_at < SWEEP_EVERY_MS:
            return []
        found, looked, last = [], 0, cursor
        pairs: Iterable[tuple[bytes, bytes]] = self._database(partition).items(from_key=cursor)  # type: ignore[assignment]
        for key, value in pairs:
            looked, last = looked + 1, key
            if key[:2] in (b"u:", b"s:") and expired(unpack(value), now_ms, ttl_ms):
                found.append(key)
            if looked == SWEEP_KEYS:
                break
        self._swept[partition] = (now_ms, last + b"\x00" if looked == SWEEP_KEYS else b"s:")
        return found

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, (_, value) in changes.states.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(WATERMARK, watermark_value(changes.watermark))
        batch.put(self._offset_key, str(changelog_offset).encode())
        self._database(partition).write(batch)
