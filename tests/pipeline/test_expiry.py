"""Sessions expire by Kafka time, so only the users of the last days have a state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaProducer
from support.journey import wait_done
from support.oracle import in_changelog, in_rocksdb, read_topic
from support.processes.running import WorkerProcess, fresh_settings, wait_until

from streams.kafka.topics import create_topics
from streams.settings import Settings

TTL_S = 3600
USERS = 600


def produce_at(settings: Settings, users: list[str], began: int, every_ms: int) -> None:
    """Send one click of each user to partition 0, the first at Kafka time ``began`` (epoch ms)."""
    producer = KafkaProducer(bootstrap_servers=settings.broker, acks="all")
    sent = []
    for number, user in enumerate(users):
        at = began + number * every_ms
        value = json.dumps({"user_id": user, "item_id": "i", "timestamp": at}).encode()
        sent.append(producer.send(settings.topic("events"), key=user.encode(), value=value, partition=0, timestamp_ms=at))
    producer.flush()
    for future in sent:
        future.get(timeout=30)
    producer.close()


def test_expired_sessions_leave_disk_and_changelog(kafka: str, tmp_path: Path, worker: Callable[..., WorkerProcess]) -> None:
    settings = fresh_settings(kafka, tmp_path, session_ttl_s=TTL_S, partitions=1, max_poll_records=8)
    create_topics(settings)
    yesterday = int(time.time() * 1000) - 86_400_000  # brokers refuse future times, and delete old ones
    gone = [f"gone-{number}" for number in range(USERS)]
    produce_at(settings, gone, yesterday, every_ms=10)
    later = [f"later-{number % 20}" for number in range(200)]
    produce_at(settings, later, yesterday + 2 * TTL_S * 1000, every_ms=500)
    running = worker(settings)
    running.wait_ready()
    wait_done(settings, USERS + len(later))
    wait_until(lambda: running.metrics().get("ouzel_sessions_expired_total") == USERS, "all sessions of the first users expired")
    assert running.stop() == 0, running.tail()
    for states, watermarks in (in_rocksdb(settings.data_dir, 1), in_changelog(settings)):
        assert sorted(states[0]) == sorted({f"u:{user}".encode() for user in later})
        assert watermarks == {0: USERS + len(later) - 1}
    tombstones = {record.key for record in read_topic(settings, "sessions-changelog") if record.value is None}
    assert tombstones == {f"u:{user}".encode() for user in gone}
