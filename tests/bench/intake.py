"""What the intake costs: CPU per event over a backlog, and the time that it adds to an event.

The backlog is in three topics with other keys. The added time is from sending a record to a source,
at 100 a second, to the arrival of its event in a consumer of `events`. Both are measured with each
delivery, on an Apache Kafka.

Needs KAFKA_HOME. ROUNDS and EVENTS are settable.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.cpu import cpu_seconds
from bench.latency import Sent, latency
from bench.pipeline import SAMPLE_EVERY_S, UNIT, per_event
from support.processes.intake_process import IntakeProcess, create_source, send, shop, shop_sources
from support.processes.running import fresh_settings

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics
from streams.settings import Settings

ROUNDS = int(os.environ.get("ROUNDS", "3"))
EVENTS = int(os.environ.get("EVENTS", "100000"))
RATE, SECONDS = 100, 20
DELIVERIES = ("leased", "exactly_once")


def fresh(broker: str, folder: Path, delivery: str) -> tuple[Settings, str]:
    """Settings of new topics, and the prefix of new sources."""
    settings = fresh_settings(broker, folder, max_poll_records=UNIT, delivery=delivery)
    create_topics(settings)
    return settings, f"shop-{settings.topic_prefix}"


def cpu(broker: str, folder: Path, delivery: str) -> float:
    """CPU microseconds per event over a backlog, after a warm-up of a fifth of it."""
    settings, prefix = fresh(broker, folder, delivery)
    for topic, records in shop(EVENTS, users=5000, prefix=prefix).items():
        create_source(settings, topic, 2)
        send(broker, topic, records)
    intake = IntakeProcess(settings, folder / "intake.log", shop_sources(prefix))
    intake.start()
    samples: list[tuple[float, float]] = []
    assert intake.process is not None
    while not samples or samples[-1][0] < EVENTS:
        assert intake.alive, intake.tail()
        samples.append((intake.read(), cpu_seconds(intake.process.pid)))
        time.sleep(SAMPLE_EVERY_S / 5)
    intake.stop()
    return per_event(samples, EVENTS // 5)


def click(number: int) -> Sent:
    """A click without a key."""
    event = {"event_id": f"e{number}", "user_id": f"u{number % 500}", "item_id": f"i{number % 200}"}
    return f"e{number}", None, json.dumps(event).encode()


def added(broker: str, folder: Path, delivery: str) -> tuple[float, float]:
    """p50 and p99 in ms from sending a record to reading its event. The first second is no part."""
    settings, prefix = fresh(broker, folder, delivery)
    topic = f"{prefix}clicks"
    create_source(settings, topic, 2)
    intake = IntakeProcess(settings, folder / "intake.log", [{"topic": topic}])
    intake.start()
    intake.wait_ready()
    measured = latency(
        settings,
        [click(number) for number in range(RATE * SECONDS)],
        rate=RATE,
        to=topic,
        made=settings.topic("events"),
        id_field="event_id",
    )
    intake.stop()
    return measured


def main() -> None:
    """Run the rounds and print the results."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("KAFKA_HOME is not set: bench-intake needs a folder with Apache Kafka")
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        for delivery in DELIVERIES:
            costs = [cpu(broker.bootstrap, folder, delivery) for _ in range(ROUNDS)]
            each = ", ".join(f"{cost:.1f}" for cost in costs)
            print(f"{delivery}: {statistics.median(costs):.1f} us of CPU per event (rounds: {each})", flush=True)
        for delivery in DELIVERIES:
            p50, p99 = added(broker.bootstrap, folder, delivery)
            print(f"added at {RATE} events/s, {delivery}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
