"""`ouzel intake` on Apache Kafka: what it reads, and what it does at its start and its end.

The fault card (`faults.intakes`) checks that no event is lost or doubled.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from support.oracle import read_topic
from support.processes.intake_process import (
    IntakeProcess,
    committed,
    create_source,
    send,
    shop,
    shop_sources,
    wait_committed,
)
from support.processes.running import environment, fresh_settings, wait_until

from streams.events.records import Event
from streams.kafka.topics import admin, create_topics
from streams.settings import Settings

EVENTS = 12_000
NOW = int(time.time() * 1000)
MakeIntake = Callable[..., IntakeProcess]


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[MakeIntake]:
    """A function that starts an intake; all of them are killed after the test."""
    started: list[IntakeProcess] = []

    def make(settings: Settings, sources: list[dict[str, Any]], **extra: str) -> IntakeProcess:
        process = IntakeProcess(settings, tmp_path / f"intake-{len(started)}.log", sources, **extra)
        started.append(process)
        process.start()
        return process

    yield make
    for process in started:
        if process.alive:
            process.kill()


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, session_timeout_s=2.0, max_poll_records=64)
    create_topics(made)
    return made


def _has_read(intake: IntakeProcess, records: int) -> bool:
    return intake.read() > records or not intake.alive


def _event(record: Any) -> Event:
    return msgspec.json.decode(record.value, type=Event)


def test_it_stops_cleanly_continues_where_it_was_and_reads_partitions_that_were_added(
    settings: Settings, intake: MakeIntake
) -> None:
    topic = f"shop-{settings.topic_prefix}clicks"
    create_source(settings, topic, 1)
    send(settings.broker, topic, [(None, _click(number), NOW) for number in range(10)] + [(b"k", b"{", NOW)])
    running = intake(settings, [{"topic": topic}])
    running.wait_ready()
    wait_until(lambda: running.read() == 11, "records read")
    scraped = running.scraped()
    assert scraped[f"ouzel_intake_events_total|topic={topic}"] == 10
    assert scraped[f"ouzel_intake_dead_letters_total|reason=invalid_json|topic={topic}"] == 1
    assert scraped["ouzel_intake_latency_seconds_count"] == 10
    wait_until(lambda: running.metrics().get(f"ouzel_intake_lag|topic={topic}") == 0, "lag 0")
    assert running.stop() == 0, running.tail()

    running = intake(settings, [{"topic": topic}])
    running.wait_ready()
    client = admin(settings)
    client.create_partitions({topic: 3})
    client.close()
    wait_until(lambda: running.metrics().get(f"ouzel_intake_partitions|topic={topic}") == 3, "the new partitions", 60)
    send(settings.broker, topic, [(None, _click(number), NOW) for number in range(10, 40)])
    wait_until(lambda: running.read() == 30, "records of all partitions read")
    assert running.stop() == 0, running.tail()
    assert sorted(_event(record).item_id for record in read_topic(settings, "events")) == sorted(f"i{n}" for n in range(40))
    assert len(read_topic(settings, "dead-letters")) == 1


def _click(number: int) -> bytes:
    return json.dumps({"user_id": f"u{number % 3}", "item_id": f"i{number}"}).encode()


def test_a_dead_letter_of_a_source_is_read_again_by_its_rules_and_not_sent_to_the_source(
    settings: Settings, intake: MakeIntake
) -> None:
    topic = f"shop-{settings.topic_prefix}orders"
    create_source(settings, topic, 6)
    send(settings.broker, topic, [(b"visit", json.dumps({"user_id": "ann", "article": "mug"}).encode(), NOW)])
    running = intake(settings, [{"topic": topic}])
    wait_until(lambda: len(read_topic(settings, "dead-letters")) == 1, "the dead letter")
    assert running.stop() == 0, running.tail()

    assert "of topic" in _redrive(settings, []).stderr
    still = _redrive(settings, [{"topic": topic}])
    assert "still invalid (missing_field)" in still.stderr
    assert still.stdout == "sent 0\n"
    corrected = [{"topic": topic, "field_mapping": {"item_id": "article"}, "event_type": "purchase"}]
    assert _redrive(settings, corrected).stdout == "sent 1\n"
    assert _redrive(settings, corrected).stdout.startswith("sent 0; 1 were sent before")
    (record,) = read_topic(settings, "events")
    event = _event(record)
    assert (event.user_id, event.item_id, event.event_type, event.timestamp) == ("ann", "mug", "purchase", NOW)
    assert event.event_id.startswith(f"{topic}-")
    assert committed(settings, f"{settings.app_id}-intake", [topic]) == 1, "the source has one record only"


def _redrive(settings: Settings, sources: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.cli", "dead-letters", "redrive", "--yes"]
    env = environment(settings) | {"OUZEL_INTAKE": json.dumps(sources)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_a_topic_that_is_missing_is_named_and_not_created(settings: Settings, intake: MakeIntake) -> None:
    refused = intake(settings, [{"topic": "no-such-topic"}])
    wait_until(lambda: not refused.alive, "the end")
    assert refused.process is not None
    assert refused.process.returncode == 2
    (line,) = refused.errors()
    assert "OUZEL_INTAKE: topic no-such-topic is missing or not visible to this user" in line
    client = admin(settings)
    assert "no-such-topic" not in client.list_topics()
    client.close()


def test_a_history_is_read_in_order_of_time_over_all_topics(settings: Settings, intake: MakeIntake) -> None:
    """Each topic alone would give the sessions all clicks before the first order."""
    prefix = f"shop-{settings.topic_prefix}"
    for topic in ("clicks", "orders"):
        create_source(settings, f"{prefix}{topic}", 1)
        for hour in range(20):
            at = NOW - 86_400_000 + hour * 3_600_000 + (topic == "orders") * 60_000
            value = json.dumps({"user_id": "ann", "item_id": f"{topic}-{hour}"}).encode()
            send(settings.broker, f"{prefix}{topic}", [(None, value, at)] * 50)
    running = intake(settings, [{"topic": f"{prefix}clicks"}, {"topic": f"{prefix}orders"}])
    wait_until(lambda: running.read() == 2000, "records read")
    assert running.stop() == 0, running.tail()
    times = [_event(record).timestamp for record in read_topic(settings, "events")]
    assert len(times) == 2000
    assert times == sorted(times)


def test_records_that_were_removed_before_they_were_read_are_counted_and_the_rest_is_read(
    settings: Settings, intake: MakeIntake
) -> None:
    topic = f"shop-{settings.topic_prefix}clicks"
    create_source(settings, topic, 1)
    send(settings.broker, topic, [(None, _click(number), NOW) for number in range(10)])
    running = intake(settings, [{"topic": topic}])
    wait_until(lambda: running.read() == 10, "records read")
    assert running.stop() == 0, running.tail()
    send(settings.broker, topic, [(None, _click(number), NOW) for number in range(10, 20)])
    client = admin(settings)
    client.delete_records({TopicPartition(topic, 0): 15})
    client.close()
    running = intake(settings, [{"topic": topic}])
    wait_until(lambda: running.read() == 5, "the rest read")
    assert running.scraped()[f"ouzel_intake_removed_records_total|topic={topic}"] == 5
    assert running.stop() == 0, running.tail()
    assert len(read_topic(settings, "events")) == 15


def test_an_offset_beyond_the_end_of_its_topic_is_refused_in_one_line(settings: Settings, intake: MakeIntake) -> None:
    topic, group = f"shop-{settings.topic_prefix}clicks", f"{settings.app_id}-intake"
    create_source(settings, topic, 1)
    send(settings.broker, topic, [(None, _click(1), NOW)])
    consumer = KafkaConsumer(bootstrap_servers=settings.broker, group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(10, "", -1)})
    consumer.close()
    refused = intake(settings, [{"topic": topic}])
    wait_until(lambda: not refused.alive, "the end")
    assert refused.process is not None
    assert refused.process.returncode == 2, refused.tail()
    (line,) = refused.errors()
    assert f"Delete the group {group}" in line
    assert "Traceback" not in refused.tail()


def test_intakes_that_join_and_leave_hand_over_without_a_repeat(settings: Settings, intake: MakeIntake) -> None:
    prefix = f"shop-{settings.topic_prefix}"
    topics = shop(EVENTS, users=400, prefix=prefix)
    for topic in topics:
        create_source(settings, topic, 2)

    def send_third(number: int) -> None:
        for topic, records in topics.items():
            send(settings.broker, topic, records[number::3])

    send_third(0)
    first = intake(settings, shop_sources(prefix))
    wait_until(partial(_has_read, first, 100), "records read", every_s=0.005)
    second = intake(settings, shop_sources(prefix))
    second.wait_ready()
    send_third(1)
    wait_until(partial(_has_read, second, 100), "records read by the second", every_s=0.005)
    send_third(2)
    assert first.stop() == 0, first.tail()
    wait_committed(settings, f"{settings.app_id}-intake", list(topics), EVENTS)
    assert second.stop() == 0, second.tail()
    ids = Counter(_event(record).event_id for record in read_topic(settings, "events"))
    assert len(ids) == EVENTS
    assert set(ids.values()) == {1}
