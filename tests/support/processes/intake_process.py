"""`ouzel intake` as a process, and source topics of other systems with records of every key."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from support.processes.running import WorkerProcess, wait_until

from streams.kafka.topics import admin
from streams.settings import Settings


class IntakeProcess(WorkerProcess):
    """`ouzel intake` as a process. ``sources`` is the value of OUZEL_INTAKE."""

    def __init__(self, settings: Settings, log: Path, sources: Sequence[Mapping[str, Any]], **extra: str) -> None:
        super().__init__(settings, log, command="intake", OUZEL_INTAKE=json.dumps(sources), **extra)

    def errors(self) -> list[str]:
        """The errors in its log, and the line of its command if it could not start."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"level": "error"' in line or line.startswith("ouzel: ")]

    def read(self) -> float:
        """How many records it has read and committed since it started."""
        return sum(count for name, count in self.metrics().items() if name.startswith("ouzel_intake_records_total"))


def create_source(settings: Settings, name: str, partitions: int) -> None:
    """Create a topic of another system."""
    client = admin(settings)
    client.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}}, timeout_ms=15_000)
    client.wait_for_topics([name], 15_000)
    client.close()


Sent = tuple[bytes | None, bytes | None, int]
"""A record of a source: key, value and Kafka time in epoch ms."""
NAMES = ("clicks", "carts", "orders")
"""The topics of `shop`, without their prefix."""


def send(broker: str, topic: str, records: Iterable[Sent]) -> int:
    """Send records, and await every confirmation. Returns how many."""
    producer = KafkaProducer(bootstrap_servers=broker, acks="all", linger_ms=5)
    futures = [producer.send(topic, key=key, value=value, timestamp_ms=at) for key, value, at in records]
    producer.flush()
    for future in futures:
        future.get(timeout=30)
    producer.close()
    return len(futures)


def shop_event(rng: random.Random, users: int, number: int, at: int) -> tuple[str, bytes | None, dict[str, Any]]:
    """A random event at ``at``: the topic, and the key and the fields of its record.

    Clicks have no keys, carts are keyed by item, and orders by the session of another system. No
    event has an id.
    """
    item = f"item-{rng.randrange(200)}"
    event = {"user_id": f"user-{rng.randrange(users)}", "timestamp": at}
    match rng.randrange(10):
        case 0:
            return "orders", f"visit-{number}".encode(), event | {"article": item}
        case 1 | 2:
            return "carts", item.encode(), event | {"item_id": item, "what": "put"}
        case _:
            return "clicks", None, event | {"item_id": item}


def shop(events: int, users: int, prefix: str, seed: int = 1) -> dict[str, list[Sent]]:
    """Records of three topics, by topic, one a second up to now; see `shop_event`."""
    rng, made = random.Random(seed), {f"{prefix}{name}": list[Sent]() for name in NAMES}
    begin = int(time.time() * 1000) - events * 1000
    for number in range(events):
        at = begin + number * 1000
        name, key, fields = shop_event(rng, users, number, at)
        made[f"{prefix}{name}"].append((key, json.dumps(fields).encode(), at))
    return made


def shop_sources(prefix: str) -> list[dict[str, Any]]:
    """The value of OUZEL_INTAKE for the topics of `shop`."""
    return [
        {"topic": f"{prefix}clicks"},
        {"topic": f"{prefix}carts", "field_mapping": {"event_type": "what"}, "event_types": {"put": "add_to_cart"}},
        {"topic": f"{prefix}orders", "field_mapping": {"item_id": "article"}, "event_type": "purchase"},
    ]


Offsets = dict[TopicPartition, int]
"""Offsets by source partition."""


def positions(settings: Settings, group: str, topics: Sequence[str]) -> tuple[Offsets, Offsets]:
    """By partition, the offsets that a group has committed, and the ends of the logs."""
    consumer = KafkaConsumer(bootstrap_servers=settings.broker, group_id=group, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()]
    done = {tp: consumer.committed(tp) or 0 for tp in partitions}
    ends: Offsets = consumer.end_offsets(partitions)
    consumer.close()
    return done, ends


def committed(settings: Settings, group: str, topics: Sequence[str]) -> int:
    """The sum of the offsets that a group has committed."""
    return sum(positions(settings, group, topics)[0].values())


def wait_committed(settings: Settings, group: str, topics: Sequence[str], records: int, timeout_s: float = 60.0) -> None:
    """Wait until a group has committed so many records of the topics."""
    wait_until(lambda: committed(settings, group, topics) >= records, f"{records} records committed", timeout_s, every_s=0.3)
