"""Session states in RocksDB, one database per partition of the events topic, written once per unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rocksdict import Rdict, WriteBatch

from streams.kafka.outbox import NO_HEADERS, Outbox, Outgoing
from streams.sessions.deletion import MARKER, deleted_at
from streams.sessions.step import expired, unpack

WATERMARK = b"\x00watermark"
"""The reserved key of the last source offset done; other keys begin with one of `STATE_KEYS`."""
WATERMARK_BYTES = 8
STATE_KEYS = (b"u:", b"s:", MARKER)
SWEEP_KEYS = 256
SWEEP_EVERY_MS = 1000


@dataclass(slots=True)
class Changes:
    """What a unit does to one partition: states and markers to keep, and keys to remove, each as of a source offset."""

    watermark: int
    states: dict[bytes, bytes] = field(default_factory=dict)
    markers: dict[bytes, bytes] = field(default_factory=dict)
    removals: dict[bytes, int] = field(default_factory=dict)

    def changelog(self) -> list[Outgoing]:
        """The changelog's records, the watermark last. A tombstone tells its source offset in a header."""
        kept: list[Outgoing] = [(key, value, NO_HEADERS) for of in (self.states, self.markers) for key, value in of.items()]
        gone = (removed(key, offset) for key, offset in self.removals.items())
        return [*kept, *gone, (WATERMARK, watermark_value(self.watermark), NO_HEADERS)]

    def value(self, key: bytes, stored: Callable[[bytes], bytes | None]) -> bytes | None:
        """What a key has after the unit, where ``stored`` tells what it had before."""
        return None if key in self.removals else self.states.get(key) or self.markers.get(key) or stored(key)


def changelog(topic: str, changes: Mapping[int, Changes]) -> Outbox:
    """The changelog's records of a unit, per partition."""
    return Outbox({(topic, partition): of_partition.changelog() for partition, of_partition in changes.items()})


def removed(key: bytes, offset: int) -> Outgoing:
    """The changelog record that removes a key as of a source offset."""
    return key, None, [("offset", str(offset).encode())]


def watermark_value(offset: int) -> bytes:
    """The stored form of a watermark: the same 8 bytes of source offset that every value begins with."""
    return offset.to_bytes(WATERMARK_BYTES, "big")


class SessionStore(Protocol):
    """Where the journey keeps its sessions."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The stored state."""
        ...

    def watermark(self, partition: int) -> int:
        """The last source offset done; -1 before the first."""
        ...

    def changelog_offset(self, partition: int) -> int:
        """The last changelog offset applied; -1 before the first."""
        ...

    def markers(self, partition: int) -> dict[bytes, int]:
        """The time of deletion by marker; not to be changed."""
        ...

    def refresh(self) -> None:
        """Partitions have changed hands, so nothing that was remembered holds."""
        ...

    def expired(self, partition: int, now_ms: int, ttl_ms: int, marker_ttl_ms: int | None) -> list[bytes]:
        """Some keys whose sessions, or whose markers, have expired by Kafka time."""
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
        self._markers: dict[int, dict[bytes, int]] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        value: bytes | None = self._database(partition).get(key)
        return value

    def watermark(self, partition: int) -> int:
        value = self.get(partition, WATERMARK)
        return -1 if value is None else int.from_bytes(value, "big")

    def changelog_offset(self, partition: int) -> int:
        value = self.get(partition, self._offset_key)
        return -1 if value is None else int(value)

    def markers(self, partition: int) -> dict[bytes, int]:
        """Read once: there are few, and each event asks."""
        found = self._markers.get(partition)
        if found is None:
            found = self._markers[partition] = {}
            pairs: Iterable[tuple[bytes, bytes]] = self._database(partition).items(from_key=MARKER)  # type: ignore[assignment]
            for key, value in pairs:
                if not key.startswith(MARKER):
                    break
                found[key] = deleted_at(value)
        return found

    def refresh(self) -> None:
        self._markers.clear()

    def expired(self, partition: int, now_ms: int, ttl_ms: int, marker_ttl_ms: int | None) -> list[bytes]:
        """Looks at the next few keys at most once a second of Kafka time, round and round, so no unit waits for a sweep."""
        swept_at, cursor = self._swept.get(partition, (0, MARKER))
        if now_ms - swept_at < SWEEP_EVERY_MS:
            return []
        found, looked, last = [], 0, cursor
        pairs: Iterable[tuple[bytes, bytes]] = self._database(partition).items(from_key=cursor)  # type: ignore[assignment]
        for key, value in pairs:
            looked, last = looked + 1, key
            if key.startswith(MARKER):
                if marker_ttl_ms is not None and now_ms - deleted_at(value) > marker_ttl_ms:
                    found.append(key)
            elif key[:2] in STATE_KEYS and expired(unpack(value), now_ms, ttl_ms):
                found.append(key)
            if looked == SWEEP_KEYS:
                break
        self._swept[partition] = (now_ms, last + b"\x00" if looked == SWEEP_KEYS else MARKER)
        return found

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for kept in (changes.states, changes.markers):
            for key, value in kept.items():
                batch.put(key, value)
        for key in changes.removals:
            batch.delete(key)
        if changes.markers or any(key.startswith(MARKER) for key in changes.removals):
            self._markers.pop(partition, None)
        batch.put(WATERMARK, watermark_value(changes.watermark))
        batch.put(self._offset_key, str(changelog_offset).encode())
        self._database(partition).write(batch)
