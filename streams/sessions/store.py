"""Session states in RocksDB: one database per events partition, written once per unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rocksdict import Rdict, WriteBatch

from streams.kafka.outbox import NO_HEADERS, Outbox, Outgoing
from streams.sessions.deletion import MARKER, deleted_at
from streams.sessions.step import expired, unpack

WATERMARK = b"\x00watermark"
"""The key of the last processed source offset. Other keys begin with one of `STATE_KEYS`."""
WATERMARK_BYTES = 8
STATE_KEYS = (b"u:", b"s:", MARKER)
SWEEP_KEYS = 256
"""Number of keys that one sweep for expired states examines."""
SWEEP_EVERY_MS = 1000
"""Kafka time between two sweeps of a partition."""
JITTER_MS = 3_600_000
"""How far the Kafka times of producers may be apart."""


@dataclass(slots=True)
class Changes:
    """What a unit changes in the store of one partition.

    ``states`` and ``markers`` are packed values by key, and ``removals`` are removed keys with the
    source offset of their removal. ``watermark`` is the last source offset of the unit.
    """

    watermark: int
    states: dict[bytes, bytes] = field(default_factory=dict)
    markers: dict[bytes, bytes] = field(default_factory=dict)
    removals: dict[bytes, int] = field(default_factory=dict)

    def changelog(self) -> list[Outgoing]:
        """Return the changelog's records, the watermark last.

        A tombstone has its source offset in a header.
        """
        values: list[Outgoing] = [(key, value, NO_HEADERS) for of in (self.states, self.markers) for key, value in of.items()]
        tombstones = (removed(key, offset) for key, offset in self.removals.items())
        return [*values, *tombstones, (WATERMARK, watermark_value(self.watermark), NO_HEADERS)]

    def value(self, key: bytes, stored: Callable[[bytes], bytes | None]) -> bytes | None:
        """Return a key's value after the unit. ``stored`` returns its value before the unit."""
        return None if key in self.removals else self.states.get(key) or self.markers.get(key) or stored(key)


def changelog(topic: str, changes: Mapping[int, Changes]) -> Outbox:
    """Return the changelog's records of a unit, per partition."""
    return Outbox({(topic, partition): of_partition.changelog() for partition, of_partition in changes.items()})


def removed(key: bytes, offset: int) -> Outgoing:
    """Return the changelog record that removes a key as of a source offset."""
    return key, None, [("offset", str(offset).encode())]


def watermark_value(offset: int) -> bytes:
    """Return the stored form of a watermark: the 8 bytes of an offset, as in every value."""
    return offset.to_bytes(WATERMARK_BYTES, "big")


class SessionStore(Protocol):
    """The session states of this worker's partitions. `RocksStore` is the one in a worker.

    All methods run on the thread of the event loop and return at once. They may only be called for
    partitions that are assigned to this worker and recovered. Example, over a dict:

        class DictStore:
            def get(self, partition, key):
                return self.values.get((partition, key))
    """

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the stored value of a key, or ``None``.

        `States` calls it in step 4, once per unit for each state that is not cached. Delivery calls
        it in step 6 for keys of another worker's changelog records.
        """
        ...

    def watermark(self, partition: int) -> int:
        """Return the last source offset that is done, or -1 before the first.

        `Pipeline` calls it once per unit and partition, before step 3.
        """
        ...

    def changelog_offset(self, partition: int) -> int:
        """Return the last changelog offset that is applied, or -1 before the first.

        Delivery calls it in step 6, to check where the changelog should continue.
        """
        ...

    def markers(self, partition: int) -> dict[bytes, int]:
        """Return the time of deletion by marker, in epoch ms. The caller must not change the dict.

        `Pipeline` calls it once per unit and partition, before step 3.
        """
        ...

    def refresh(self) -> None:
        """Drop what is cached of the databases, because other workers may have changed them.

        `Pipeline` calls it before the first unit of each group generation.
        """
        ...

    def expired(self, partition: int, now_ms: int, ttl_ms: int, marker_ttl_ms: int | None) -> list[bytes]:
        """Return some keys whose states or markers have expired by Kafka time.

        `Pipeline` calls it after step 4, once per unit and partition; ``now_ms`` is the Kafka time
        of the unit's last record. It removes nothing: `write` removes them.
        """
        ...

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        """Write the changes, the watermark and the changelog offset in one batch, all or nothing.

        `Pipeline` calls it in step 7, once per unit and partition. Before: Kafka has confirmed the
        changelog records of ``changes``, the last one at ``changelog_offset``.
        """
        ...


class RocksStore:
    """`SessionStore` over the RocksDB databases of a Faust table.

    ``database`` returns a partition's database. ``offset_key`` is the key under which Faust stores
    the last changelog offset applied.
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
        """Read the markers once and cache them: there are few, and every unit needs them."""
        markers = self._markers.get(partition)
        if markers is None:
            markers = self._markers[partition] = {}
            pairs: Iterable[tuple[bytes, bytes]] = self._database(partition).items(from_key=MARKER)  # type: ignore[assignment]
            for key, value in pairs:
                if not key.startswith(MARKER):
                    break
                markers[key] = deleted_at(value)
        return markers

    def refresh(self) -> None:
        self._markers.clear()

    def expired(self, partition: int, now_ms: int, ttl_ms: int, marker_ttl_ms: int | None) -> list[bytes]:
        """Examine the next 256 keys, at most once per second of Kafka time.

        After the last key, the first is next. So no unit waits long for a sweep. A Kafka time far
        before the last one shows that the last one was wrong, so it does not prevent a sweep.
        """
        swept_at, cursor = self._swept.get(partition, (0, MARKER))
        if -JITTER_MS < now_ms - swept_at < SWEEP_EVERY_MS:
            return []
        expired_keys, looked, last = list[bytes](), 0, cursor
        pairs: Iterable[tuple[bytes, bytes]] = self._database(partition).items(from_key=cursor)  # type: ignore[assignment]
        for key, value in pairs:
            looked, last = looked + 1, key
            if key.startswith(MARKER):
                if marker_ttl_ms is not None and now_ms - deleted_at(value) > marker_ttl_ms:
                    expired_keys.append(key)
            elif key[:2] in STATE_KEYS and expired(unpack(value), now_ms, ttl_ms):
                expired_keys.append(key)
            if looked == SWEEP_KEYS:
                break
        self._swept[partition] = (now_ms, last + b"\x00" if looked == SWEEP_KEYS else MARKER)
        return expired_keys

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        batch = WriteBatch(raw_mode=True)
        for values in (changes.states, changes.markers):
            for key, value in values.items():
                batch.put(key, value)
        for key in changes.removals:
            batch.delete(key)
        if changes.markers or any(key.startswith(MARKER) for key in changes.removals):
            self._markers.pop(partition, None)
        batch.put(WATERMARK, watermark_value(changes.watermark))
        batch.put(self._offset_key, str(changelog_offset).encode())
        self._database(partition).write(batch)
