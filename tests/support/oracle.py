"""The oracle: what workers must have done, by replaying the events topic through the pure step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from kafka import KafkaConsumer, TopicPartition
from rocksdict import AccessType, Options, Rdict

from streams.events.dead_letter import as_first
from streams.events.decode import BadRecord
from streams.events.records import POPULAR_KEY, Event, recommendation_id
from streams.kafka.reading import kafka_consumer
from streams.rules import event_decoder, hash_secret, limits_of
from streams.sessions.deletion import marker_key, pack_marker
from streams.sessions.step import Source, State, owner, pack, session_key, state_key, step, user_key
from streams.sessions.store import STATE_KEYS, WATERMARK
from streams.settings import Settings

UNCOMPACTED = {"log.cleaner.min.compaction.lag.ms": "86400000"}
"""For the broker of a long run. Compaction would leave only the last of a user's recommendations,
and the oracle counts them all."""
Place = tuple[str, int, int]
"""Topic without its prefix, partition and offset."""
Stored = tuple[dict[int, dict[bytes, bytes]], dict[int, int]]
"""Packed states by partition and key, and watermarks by partition."""
EMBEDDED_QUIET_POLLS = 2
"""The embedded broker reports a wrong end of the log for batched records. There, this many empty
polls mean that everything was read."""


def read_topic(settings: Settings, name: str) -> list[Any]:
    """Every record in the topic, sorted by partition and offset."""
    return sorted(records_of(settings, name), key=lambda record: (record.partition, record.offset))


def records_of(settings: Settings, name: str) -> Iterator[Any]:
    """The records in one of Ouzel's topics as a plain consumer polls them; see `records_in`."""
    return records_in(settings, settings.topic(name))


def records_in(settings: Settings, topic: str, stuck_after_s: float = 120.0) -> Iterator[Any]:
    """The records in a topic of this full name as a plain consumer polls them.

    For topics too large for memory. Fails if the consumer gets nothing for ``stuck_after_s`` before
    the end of the topic.
    """
    consumer, partitions = from_beginning(settings, topic)
    ends, until = consumer.end_offsets(partitions), time.monotonic() + stuck_after_s
    quiet = 0 if settings.idempotent else -EMBEDDED_QUIET_POLLS
    while quiet < 0 or any(consumer.position(tp) < ends[tp] for tp in partitions):
        assert time.monotonic() < until, f"{topic}: nothing polled for {stuck_after_s} s before its end"
        polled = consumer.poll(timeout_ms=200)
        quiet = min(quiet + 1, 0) if not polled or settings.idempotent else -EMBEDDED_QUIET_POLLS
        for records in polled.values():
            until = time.monotonic() + stuck_after_s
            yield from records
    consumer.close()


def from_beginning(settings: Settings, topic: str) -> tuple[KafkaConsumer, list[TopicPartition]]:
    """A consumer at the beginning of each partition of a topic, and these partitions."""
    consumer = kafka_consumer(settings, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    return consumer, partitions


@dataclass
class Account:
    """What the events require.

    Packed states are by partition and key, and watermarks by partition. Transitions and dead
    letters are named by the partition and offset of their record, transitions by the number of the
    event in it, too, and recommendations by their id. Dead letters of the intake have the topic of
    their record, too: ``source_letters``. ``outcomes`` counts the events by their outcome.
    """

    states: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)
    transitions: set[tuple[int, int, int]] = field(default_factory=set)
    recommendations: set[str] = field(default_factory=set)
    dead_letters: set[tuple[int, int]] = field(default_factory=set)
    source_letters: set[tuple[str, int, int]] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)


def account(settings: Settings, events: Iterable[Any]) -> Account:
    """Replay the records of the events topic one by one, without units, stores or models."""
    decoder, result = event_decoder(settings), Account()
    live: dict[tuple[int, bytes], tuple[State, int]] = {}
    markers: dict[tuple[int, bytes], int] = {}
    for polled in events:
        record, first_id = as_first(polled)
        partition, offset = record.partition, record.offset
        result.watermarks[partition] = offset
        try:
            decoded = decoder.decode_record(record, first_id)
        except BadRecord:
            result.dead_letters.add((partition, offset))
            continue
        if decoded.deletion is not None:
            owned = decoded.deletion.key
            for key in (user_key(owned), session_key(owned)):
                live.pop((partition, key), None)
            mark = marker_key(owned, hash_secret(settings))
            markers[partition, mark] = record.timestamp
            result.states.setdefault(partition, {})[mark] = pack_marker(record.timestamp, offset)
            continue
        for number, event in enumerate(decoded.events):
            _step(settings, result, live, markers, event, record, number)
    for (partition, key), (state, offset) in live.items():
        result.states.setdefault(partition, {})[key] = pack(state, offset)
    return result


def _step(
    settings: Settings, result: Account, live: dict[tuple[int, bytes], tuple[State, int]], markers: dict[tuple[int, bytes], int],
    event: Event, record: Any, number: int,
) -> None:  # fmt: skip
    partition, offset = record.partition, record.offset
    if event.timestamp <= markers.get((partition, marker_key(owner(event), hash_secret(settings))), -1):
        result.outcomes["before_deletion"] += 1
        return
    name = (partition, state_key(event))
    state, _ = live.get(name, (State(), -1))
    stepped = step(state, event, Source(partition, offset, record.timestamp, number), limits_of(settings))
    result.outcomes[stepped.outcome] += 1
    if stepped.session is not None:
        live[name] = (state, offset)
    if stepped.transition is not None:
        result.transitions.add((partition, offset, number))
    if stepped.triggers and stepped.session is not None:
        result.recommendations.add(recommendation_id(record.topic, partition, offset))


def in_rocksdb(data_dir: Path, partitions: int) -> Stored:
    """States and watermarks in the RocksDB of a worker that has stopped."""
    states: dict[int, dict[bytes, bytes]] = {}
    watermarks: dict[int, int] = {}
    for partition in range(partitions):
        for path in data_dir.rglob(f"*-{partition}.db"):
            database = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
            entries = cast(dict[bytes, bytes], dict(database.items()))
            database.close()
            if WATERMARK in entries:
                watermarks[partition] = int.from_bytes(entries[WATERMARK], "big")
            of_sessions = {key: value for key, value in entries.items() if key[:2] in STATE_KEYS}
            if of_sessions:
                states[partition] = of_sessions
    return states, watermarks


def in_changelog(
    settings: Settings, without: frozenset[Place] = frozenset()
) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
    """States and watermarks in the changelog: each key's value of the highest source offset.

    The records at ``without`` are foreign, and left out.
    """
    newest: dict[tuple[int, bytes], tuple[int, bytes | None]] = {}
    for record in _ours(settings, "sessions-changelog", without):
        offset, name = source_offset(record), (record.partition, record.key)
        if offset >= newest.get(name, (-1, None))[0]:
            newest[name] = (offset, record.value)
    states: dict[int, dict[bytes, bytes]] = {}
    watermarks: dict[int, int] = {}
    for (partition, key), (offset, value) in newest.items():
        if key == WATERMARK:
            watermarks[partition] = offset
        elif value is not None:
            states.setdefault(partition, {})[key] = value
    return states, watermarks


def source_offset(record: Any) -> int:
    """The offset of the event that made a record of the changelog."""
    return int(dict(record.headers or ())["offset"]) if record.value is None else int.from_bytes(record.value[:8], "big")


def _ours(settings: Settings, topic: str, without: frozenset[Place]) -> Iterator[Any]:
    return (record for record in records_of(settings, topic) if (topic, record.partition, record.offset) not in without)


@dataclass
class Outputs:
    """How often each output occurs in its topic, named as in `Account`."""

    transitions: Counter[tuple[int, int, int]]
    recommendations: Counter[str]
    dead_letters: Counter[tuple[int, int]]
    source_letters: Counter[tuple[str, int, int]]


def outputs(settings: Settings, without: frozenset[Place] = frozenset()) -> Outputs:
    """Read the output topics. The popularity ranking, tombstones and ``without`` do not count."""
    transitions = (msgspec.json.decode(record.value) for record in _ours(settings, "transitions", without))
    of_owners = (r for r in _ours(settings, "recommendations", without) if r.key != POPULAR_KEY)
    published = (record for record in of_owners if record.value is not None)
    headers = [dict(record.headers) for record in _ours(settings, "dead-letters", without)]
    letters = [(of["topic"].decode(), int(of["partition"]), int(of["offset"])) for of in headers]
    events = settings.topic("events")
    return Outputs(
        Counter((t["source_partition"], t["source_offset"], t.get("source_number", 0)) for t in transitions),
        Counter(msgspec.json.decode(record.value)["recommendation_id"] for record in published),
        Counter((partition, offset) for topic, partition, offset in letters if topic == events),
        Counter(letter for letter in letters if letter[0] != events),
    )
