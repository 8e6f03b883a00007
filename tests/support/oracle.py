"""An independent account of what a worker must have done: the input log replayed through the pure step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from rocksdict import AccessType, Options, Rdict

from streams.events.decode import BadRecord, Deletion, EventDecoder
from streams.events.records import POPULAR_KEY, recommendation_id
from streams.kafka.connection import consumer_config
from streams.sessions.deletion import marker_key, pack_marker
from streams.sessions.step import State, owner, pack, session_key, state_key, step, user_key
from streams.sessions.store import STATE_KEYS, WATERMARK
from streams.settings import Settings
from streams.worker import hash_secret

UNCOMPACTED = {"log.cleaner.min.compaction.lag.ms": "86400000"}
"""For the broker of a long run: of a user's many recommendations only the last would be left to count."""
EMBEDDED_QUIET_POLLS = 2
"""The embedded broker tells the end of batched records wrong: there, only silence says that all was read."""


def read_topic(settings: Settings, name: str) -> list[Any]:
    """Every record that the topic holds now, per partition in order."""
    return sorted(records_of(settings, name), key=lambda record: (record.partition, record.offset))


def records_of(settings: Settings, name: str, stuck_after_s: float = 120.0) -> Iterator[Any]:
    """The same by a plain consumer as they come, as hours of recommendations are more than memory should hold."""
    consumer = KafkaConsumer(**consumer_config(settings), auto_offset_reset="earliest", enable_auto_commit=False, group_id=None)
    topic = settings.topic(name)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends, until = consumer.end_offsets(partitions), time.monotonic() + stuck_after_s
    quiet = 0 if settings.idempotent else -EMBEDDED_QUIET_POLLS
    while quiet < 0 or any(consumer.position(tp) < ends[tp] for tp in partitions):
        assert time.monotonic() < until, f"{topic}: nothing more in {stuck_after_s} s, before its end"
        found = consumer.poll(timeout_ms=200)
        quiet = min(quiet + 1, 0) if not found or settings.idempotent else -EMBEDDED_QUIET_POLLS
        for polled in found.values():
            until = time.monotonic() + stuck_after_s
            yield from polled
    consumer.close()


@dataclass
class Account:
    """What the input demands."""

    states: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)
    transitions: set[tuple[int, int]] = field(default_factory=set)
    recommendations: set[str] = field(default_factory=set)
    dead_letters: set[tuple[int, int]] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)


def account(settings: Settings, events: Iterable[Any]) -> Account:
    """Replay the records of the events topic, one by one, without units, stores or models."""
    decoder, result = EventDecoder(settings.field_mapping), Account()
    live: dict[tuple[int, bytes], tuple[State, int]] = {}
    markers: dict[tuple[int, bytes], int] = {}
    for record in events:
        partition, offset = record.partition, record.offset
        result.watermarks[partition] = offset
        try:
            event = decoder.decode(
                record.key,
                record.value,
                topic=record.topic,
                partition=partition,
                offset=offset,
                timestamp_ms=record.timestamp,
                headers=record.headers,
            )
        except BadRecord:
            result.dead_letters.add((partition, offset))
            continue
        if isinstance(event, Deletion):
            for key in (user_key(event.key), session_key(event.key)):
                live.pop((partition, key), None)
            mark = marker_key(event.key, hash_secret(settings))
            markers[partition, mark] = record.timestamp
            result.states.setdefault(partition, {})[mark] = pack_marker(record.timestamp, offset)
            continue
        if event.timestamp <= markers.get((partition, marker_key(owner(event), hash_secret(settings))), -1):
            result.outcomes["before_deletion"] += 1
            continue
        name = (partition, state_key(event))
        state, _ = live.get(name, (State(), -1))
        done = step(state, event, partition, offset, record.timestamp, int(settings.session_gap_s * 1000))
        result.outcomes[done.outcome] += 1
        if done.session is not None:
            live[name] = (state, offset)
        if done.transition is not None:
            result.transitions.add((partition, offset))
        if done.triggers and done.session is not None:
            result.recommendations.add(recommendation_id(record.topic, partition, offset))
    for (partition, key), (state, offset) in live.items():
        result.states.setdefault(partition, {})[key] = pack(state, offset)
    return result


def in_rocksdb(data_dir: Path, partitions: int) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
    """States and watermarks as a stopped worker left them on disk."""
    states: dict[int, dict[bytes, bytes]] = {}
    watermarks: dict[int, int] = {}
    for partition in range(partitions):
        for path in data_dir.rglob(f"*-{partition}.db"):
            database = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
            found = dict(database.items())
            database.close()
            if WATERMARK in found:
                watermarks[partition] = int.from_bytes(found[WATERMARK], "big")
            kept = {key: value for key, value in found.items() if key[:2] in STATE_KEYS}
            if kept:
                states[partition] = kept
    return states, watermarks


def in_changelog(settings: Settings) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
    """States and watermarks rebuilt from the changelog alone, the highest source offset per key winning."""
    newest: dict[tuple[int, bytes], tuple[int, bytes | None]] = {}
    for record in read_topic(settings, "sessions-changelog"):
        headers = dict(record.headers or ())
        offset = int(headers["offset"]) if record.value is None else int.from_bytes(record.value[:8], "big")
        name = (record.partition, record.key)
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


@dataclass
class Outputs:
    """What the output topics hold."""

    transitions: Counter[tuple[int, int]]
    recommendations: Counter[str]
    dead_letters: Counter[tuple[int, int]]


def outputs(settings: Settings) -> Outputs:
    """Count every output record by the event that made it."""
    transitions = (msgspec.json.decode(record.value) for record in records_of(settings, "transitions"))
    published = (r for r in records_of(settings, "recommendations") if r.key != POPULAR_KEY and r.value is not None)
    letters = (dict(record.headers) for record in records_of(settings, "dead-letters"))
    return Outputs(
        Counter((t["source_partition"], t["source_offset"]) for t in transitions),
        Counter(msgspec.json.decode(record.value)["recommendation_id"] for record in published),
        Counter((int(headers["partition"]), int(headers["offset"])) for headers in letters),
    )
