"""Events that the topic removes while no worker runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kafka import TopicPartition
from support.journey import clicks, wait_done
from support.oracle import outputs
from support.processes.running import WorkerProcess, fresh_settings, produce

from streams.kafka.topics import admin, create_topics

MakeWorker = Callable[..., WorkerProcess]


def test_events_that_were_removed_unread_are_logged_and_counted_and_the_others_are_processed(
    kafka: str, tmp_path: Path, worker: MakeWorker
) -> None:
    settings = fresh_settings(kafka, tmp_path, partitions=1)
    create_topics(settings)
    produce(settings, clicks(100, users=10))
    first = worker(settings)
    first.wait_ready()
    wait_done(settings, 100)
    assert first.scraped()["ouzel_events_removed_total"] == 0
    assert first.stop() == 0, first.tail()
    produce(settings, clicks(100, users=10, seed=1))
    client = admin(settings)
    client.delete_records({TopicPartition(settings.topic("events"), 0): 130})
    client.close()
    second = worker(settings)
    second.wait_ready()
    assert second.scraped()["ouzel_events_removed_total"] == 30
    wait_done(settings, 200)
    assert second.stop() == 0, second.tail()
    (line,) = [line for line in map(json.loads, second.log.read_text().splitlines()) if line["event"] == "events_removed"]
    expected = {"topic": settings.topic("events"), "partition": 0, "first": 100, "count": 30, "level": "error"}
    assert {name: line[name] for name in expected} == expected
    assert set(outputs(settings).transitions) == {(0, offset, 0) for offset in (*range(100), *range(130, 200))}
