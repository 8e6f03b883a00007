"""What the intake writes for each record of a source topic. Pure.

Each event goes to the partition of `events` that its user's key has. It carries its id and time, so
the worker reads it as it would have read it in the source topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from streams.events.bounds import BadRecord
from streams.events.dead_letter import REDRIVEN_TIMESTAMP, as_first, check_readable, dead_letter
from streams.events.decode import CANONICAL, Decoded, EventDecoder, event_key
from streams.events.notes import Note
from streams.events.records import Event
from streams.kafka.outbox import Headers, Outbox
from streams.sessions.step import OPEN_SESSIONS, RECENT_EVENT_IDS
from streams.wire.record import KafkaRecord

MOST_OF_ONE_USER = RECENT_EVENT_IDS // 2
"""Events of one user after which a repeatable unit ends; see `Unit`."""
KNOWN_KEYS = 100_000
"""Keys whose partitions are remembered, because the hash is in Python and costs microseconds."""
_encode = msgspec.json.Encoder().encode
Dated = tuple[bytes, bytes | None, Headers, int]
"""A record to send: key, value, headers, and its Kafka time in epoch ms."""
Where = tuple[str, int]
"""A topic and a partition."""


class Target(NamedTuple):
    """Where the outputs go.

    ``partition_of`` returns the partition of `events` for a key. ``max_bytes`` is the longest
    record that the topics accept for sure. ``retention_ms`` is how long `events` keeps a record;
    ``None`` is for ever.
    """

    events: str
    dead_letters: str
    partitions: int
    partition_of: Callable[[bytes], int]
    max_bytes: int = 900_000
    retention_ms: int | None = None


class Unit:
    """The outputs of the records between two commits, and what is counted of them.

    ``offsets`` has the next offset to read by source topic and partition. ``times`` are the Kafka
    times of the written events.

    A ``repeatable`` unit may be written again after a crash. The worker must then recognise its
    events by what their sessions remember: the latest ids of each of a few open sessions, and
    nothing from before a deletion. So such a unit becomes ``full`` before a session would forget,
    and a deletion is its last record.
    """

    def __init__(self, *, repeatable: bool = True) -> None:
        self.events: dict[Where, list[Dated]] = {}
        self.letters = Outbox()
        self.offsets: dict[Where, int] = {}
        self.read = Counter[str]()
        self.written = Counter[str]()
        self.deleted = Counter[str]()
        self.ignored = Counter[tuple[str, str]]()
        self.rejected = Counter[tuple[str, str]]()
        self.notes = Counter[Note]()
        self.times: list[int] = []
        self._of_user = Counter[bytes]()
        self._sessions: dict[bytes, set[str | None]] = {}
        self._repeatable = repeatable
        self.full = False

    def write(self, where: Where, key: bytes, value: bytes, headers: Headers, at: int, session: str | None) -> None:
        """Add an event of this session for `events`."""
        self.events.setdefault(where, []).append((key, value, headers, at))
        if self._repeatable:
            self._of_user[key] += 1
            sessions = self._sessions.setdefault(key, set())
            sessions.add(session)
            self.full |= self._of_user[key] >= MOST_OF_ONE_USER or len(sessions) >= OPEN_SESSIONS

    def delete(self, where: Where, key: bytes, headers: Headers, at: int) -> None:
        """Add a deletion for `events`."""
        self.events.setdefault(where, []).append((key, None, headers, at))
        self.full |= self._repeatable


class Rekeying:
    """Makes outputs of the records of the sources. ``sources`` are their decoders by topic."""

    def __init__(self, sources: Mapping[str, EventDecoder], target: Target) -> None:
        self._sources, self._target = sources, target

    def add(self, unit: Unit, polled: KafkaRecord, now_ms: int) -> None:
        """Add the outputs of one record to the unit. ``now_ms`` is the present time in epoch ms.

        A record that was sent again as a dead letter is read as it was at first.
        """
        topic = polled.topic
        unit.read[topic] += 1
        unit.offsets[topic, polled.partition] = polled.offset + 1
        record, first_id = as_first(polled)
        try:
            check_readable(record)
            decoded = self._sources[topic].decode_record(record, first_id)
        except BadRecord as bad:
            unit.notes.update(bad.notes)
            self._reject(unit, record, bad, first_id)
            return
        at, headers = self._dated(record.timestamp, now_ms)
        bad_event = self._write(unit, decoded, topic, at, headers)
        if decoded.events:
            unit.times.append(polled.timestamp)
        unit.notes.update(decoded.notes)
        if (problem := decoded.bad or bad_event) is not None:
            self._reject(unit, record, problem, first_id)
        elif not (decoded.events or decoded.deletion):
            unit.ignored[topic, decoded.ignored] += 1

    def _write(self, unit: Unit, decoded: Decoded, topic: str, at: int, headers: Headers) -> BadRecord | None:
        """Write the events, or the deletion. Returns the problem of an event that is too large."""
        if decoded.deletion is not None:
            key = decoded.deletion.key.encode()
            unit.delete(self._place(key), key, [CANONICAL, *headers], at)
            unit.deleted[topic] += 1
        bad, canonical = None, [CANONICAL, *headers]
        for event in decoded.events:
            key, value = event_key(event), _encode(event)
            if len(value) > self._target.max_bytes:
                bad = _too_large(event, value, self._target.max_bytes)
                continue
            unit.write(self._place(key), key, value, canonical, at, event.session_id)
            unit.written[topic] += 1
        return bad

    def _place(self, key: bytes) -> Where:
        return self._target.events, self._target.partition_of(key)

    def _reject(self, unit: Unit, record: KafkaRecord, bad: BadRecord, first_id: str | None) -> None:
        """Add a dead letter. Its partition is the record's, modulo the number of partitions."""
        target = self._target
        letter = dead_letter(record, bad, target.max_bytes, first_id)
        unit.letters.to(target.dead_letters, record.partition % target.partitions).append(letter)
        unit.rejected[record.topic, bad.reason] += 1

    def _dated(self, time_ms: int, now_ms: int) -> tuple[int, Headers]:
        """Return the Kafka time to write, and headers that say the true one if it differs.

        Kafka rejects a time far in the future, and would soon remove a record that is older than
        the retention of `events`. The worker takes the true time from the header.
        """
        retention, at = self._target.retention_ms, min(time_ms, now_ms)
        if time_ms < 0:
            return now_ms, []
        if retention is not None:
            at = max(at, now_ms - retention // 2)
        return at, [] if at == time_ms else [(REDRIVEN_TIMESTAMP, str(time_ms).encode())]


def _too_large(event: Event, value: bytes, limit: int) -> BadRecord:
    return BadRecord("too_large", f"the event {event.event_id} of {len(value)} bytes, at most {limit}")


def murmur_partitions(murmur2: Callable[[bytes], int], partitions: int) -> Callable[[bytes], int]:
    """Return a function from a key to its partition, as Kafka's clients choose it."""
    known: dict[bytes, int] = {}

    def partition_of(key: bytes) -> int:
        partition = known.get(key)
        if partition is None:
            if len(known) >= KNOWN_KEYS:
                known.clear()
            partition = known[key] = (murmur2(key) & 0x7FFFFFFF) % partitions
        return partition

    return partition_of
