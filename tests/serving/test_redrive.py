"""Dead letters that are sent again, with real workers: learned once, as of their first time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaProducer
from support.journey import wait_done
from support.oracle import outputs, read_topic
from support.processes.running import WorkerProcess, environment, fresh_settings

from streams.kafka.topics import create_topics
from streams.settings import Settings

DECODER = {"OUZEL_DECODER": "support.header_decoder:decode"}


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, partitions=2)
    create_topics(made)
    return made


def redrive(settings: Settings, *arguments: str, **extra: str) -> str:
    command = [sys.executable, "-m", "serving.cli", "dead-letters", "redrive", "--yes", *arguments]
    env = environment(settings) | extra
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def work(settings: Settings, folder: Path, events: int, **extra: str) -> float:
    """Run a worker until so many events are processed. Returns how many of them were duplicates."""
    worker = WorkerProcess(settings, folder / "worker.log", **extra).start()
    worker.wait_ready()
    wait_done(settings, events)
    duplicates = sum(count for name, count in worker.scraped().items() if "ouzel_events_total" in name and "duplicate" in name)
    assert worker.stop() == 0, worker.tail()
    return duplicates


def test_letters_that_are_sent_twice_are_learned_once_and_dated_at_their_first_kafka_time(
    settings: Settings, tmp_path: Path
) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    placed = {
        item: producer.send(
            settings.topic("events"), b"ann", b"ann", [("trace", b"\xff"), ("item", item.encode())], timestamp_ms=at
        ).get(30)
        for item, at in (("mug", 1_790_000_000_000), ("cup", 1_790_000_060_000))
    }
    producer.close()
    work(settings, tmp_path, 2)
    assert redrive(settings) == "sent 2\n", "too early: the decoder is not set"
    work(settings, tmp_path, 4)
    assert len(read_topic(settings, "dead-letters")) == 4
    memory = settings.data_dir / f"redriven-{settings.app_id}.txt"
    before = f"; 2 were sent before, says {memory}\n"
    assert redrive(settings) == f"sent 2{before}", "only those that came back"
    assert redrive(settings) == f"sent 0; 4 were sent before, says {memory}\n"
    assert work(settings, tmp_path, 6, **DECODER) == 0
    elsewhere = {"OUZEL_DATA_DIR": str(tmp_path / "elsewhere")}
    assert redrive(settings, **elsewhere) == "sent 2\n", "this directory knows of no redrive"
    assert work(settings, tmp_path, 8, **DECODER) == 2
    transitions = [json.loads(record.value) for record in read_topic(settings, "transitions")]
    assert [(t["item_id"], t["timestamp"]) for t in transitions] == [("mug", 1_790_000_000_000), ("cup", 1_790_000_060_000)]
    ids = [json.loads(r.value)["trigger_event_id"] for r in read_topic(settings, "recommendations") if r.key == b"ann"]
    assert ids == [f"{settings.topic('events')}-{place.partition}-{place.offset}" for place in placed.values()]
    assert len(outputs(settings).dead_letters) == 4


def test_redrive_in_a_folder_that_cannot_be_written_sends_nothing(settings: Settings, tmp_path: Path) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    producer.send(settings.topic("dead-letters"), b"{}", b"ann", [("reason", b"missing_field")]).get(30)
    producer.close()
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "serving.cli", "dead-letters", "redrive", "--yes"]
    env = environment(settings) | {"OUZEL_DATA_DIR": str(tmp_path / "file" / "below")}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("ouzel: OUZEL_DATA_DIR: ")
    assert ran.stderr.count("\n") == 1
    assert read_topic(settings, "events") == []
