"""What telemetry costs: CPU per event of the worker with it and without (`metrics_port` 0), with the null model and the hybrid.

Two figures. *Share*: of the samples that py-spy takes of a worker at work, those within telemetry's code; it is of one process,
so neighbours on the machine do not change it. *Ratio*: workers with and without alternate over equal backlogs on Apache Kafka,
each first in every other round, and the figure is the median of the rounds' ratios. Done is what lies on the topic of
recommendations, as a worker without an endpoint tells nothing; time runs until the learner has come to rest too. The endpoint is
scraped every 5 s.

Needs KAFKA_HOME. ROUNDS, EVENTS (null) and HYBRID_EVENTS are settable; ROUNDS=0 leaves the ratio out.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from aiokafka import AIOKafkaProducer
from bench.pipeline import UNIT, cpu_seconds
from kafka import KafkaConsumer, TopicPartition
from support.journey import clicks
from support.running import WorkerProcess, fresh_settings

from serving.demo.brokers import ApacheBroker
from streams.delivery.publisher import send
from streams.engine.faust_app import BATCH_BYTES
from streams.kafka.connection import consumer_config
from streams.kafka.outbox import NO_HEADERS, Outbox
from streams.kafka.topics import create_topics
from streams.settings import Settings
from streams.tools.simulator import Product, Shop

ROUNDS = int(os.environ.get("ROUNDS", "5"))
EVENTS = {"null": int(os.environ.get("EVENTS", "300000")), "hybrid": int(os.environ.get("HYBRID_EVENTS", "40000"))}
USERS, ITEMS = 5000, 4000
SAMPLE_EVERY_S = 0.25
SCRAPE_EVERY = 20
REST_S, AT_REST = 2.0, 0.1
"""At rest is a worker that has used less than a tenth of a core for so long."""
SAMPLES_PER_S, PROFILED_S = 200, {"null": 4, "hybrid": 10}
"""A backlog of 300,000 is done in 8 s without a model."""
TELEMETRY = (
    *(f"streams/{name}.py" for name in ("accuracy", "attribution", "disk", "exposure", "histogram", "lag", "observer")),
    *(f"streams/{name}.py" for name in ("ranking_cache", "telemetry", "engine/oldest", "engine/sensor")),
    "models/gate/per_expert.py",
    "prometheus_client/",
)
"""Telemetry's code; what it calls is its cost too."""


def shop(events: int) -> Iterator[tuple[bytes, bytes]]:
    """The events of a simulated shop, by user."""
    made = Shop(seed=1, users=USERS, items=ITEMS, events=events, start_ms=1_700_000_000_000, shift_at=None)
    for event in made.run(step_ms=20):
        if not isinstance(event, Product):
            yield event["user_id"].encode(), json.dumps(event).encode()


async def fill(settings: Settings, events: list[tuple[bytes, bytes]]) -> None:
    """Put the backlog on the events topic, in whole batches: kafka-python would take minutes."""
    outbox = Outbox()
    for key, value in events:
        outbox.to(settings.topic("events"), crc32(key) % settings.partitions).append((key, value, NO_HEADERS))
    async with AIOKafkaProducer(bootstrap_servers=settings.broker, max_batch_size=BATCH_BYTES) as producer:
        await send(producer, outbox)


def one(broker: str, folder: Path, model: str, events: list[tuple[bytes, bytes]], *, watched: bool) -> float:
    """One worker on fresh topics with a backlog."""
    settings = fresh_settings(broker, folder, max_poll_records=UNIT, model=model, data_dir=folder / uuid.uuid4().hex)
    create_topics(settings)
    asyncio.run(fill(settings, events))
    found = per_event(settings, folder, watched=watched)
    shutil.rmtree(settings.data_dir)
    return found


def share(broker: str, folder: Path, model: str, events: list[tuple[bytes, bytes]]) -> tuple[float, int]:
    """The share of a worker's CPU that goes into telemetry, while it works on a backlog, and of how many samples."""
    settings = fresh_settings(broker, folder, max_poll_records=UNIT, model=model, data_dir=folder / uuid.uuid4().hex)
    create_topics(settings)
    asyncio.run(fill(settings, events))
    worker, raw = WorkerProcess(settings, folder / "profiled.log").start(), folder / "profile"
    assert worker.process is not None
    worker.wait_ready(180)
    command = [
        Path(sys.executable).with_name("py-spy"),
        "record",
        "--rate",
        str(SAMPLES_PER_S),
        "--duration",
        str(PROFILED_S[model]),
    ]
    subprocess.run(
        [*command, "--format", "raw", "--output", raw, "--pid", str(worker.process.pid)], check=True, capture_output=True
    )
    lag = sum(left for name, left in worker.metrics().items() if name.startswith("ouzel_consumer_lag"))
    assert lag > 0, "the backlog was done before the profile"
    worker.stop(30)
    shutil.rmtree(settings.data_dir)
    total = ours = 0
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        ours += int(count) if any(place in stack for place in TELEMETRY) else 0
    return ours / total, total


def per_event(settings: Settings, folder: Path, *, watched: bool) -> float:
    """CPU microseconds per event from a fifth of the backlog until the worker is at rest."""
    events = EVENTS[settings.model]
    endpoint = {} if watched else {"OUZEL_METRICS_PORT": "0"}
    worker = WorkerProcess(settings, folder / "worker.log", **endpoint).start()
    assert worker.process is not None
    pid = worker.process.pid
    consumer = KafkaConsumer(**consumer_config(settings))
    places = [TopicPartition(settings.topic("recommendations"), n) for n in range(settings.partitions)]
    first: tuple[int, float] | None = None
    past: list[float] = []
    turns = int(REST_S / SAMPLE_EVERY_S)
    try:
        while True:
            time.sleep(SAMPLE_EVERY_S)
            assert worker.alive, worker.tail()
            done, cpu = sum(consumer.end_offsets(places).values()), cpu_seconds(pid)
            past.append(cpu)
            if watched and len(past) % SCRAPE_EVERY == 0:
                worker.metrics()
            if first is None and done >= events // 5:
                first = done, cpu
            if done >= events and len(past) > turns and cpu - past[-1 - turns] < AT_REST * REST_S:
                assert first is not None
                assert first[0] < events / 2, "the backlog was done before it could be measured"
                return (cpu - first[1]) / (events - first[0]) * 1e6
    finally:
        consumer.close()
        worker.stop(30)


def main() -> None:
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("bench-telemetry needs KAFKA_HOME: a folder with Apache Kafka")
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, count in EVENTS.items():
            events = list(shop(count)) if model == "hybrid" else clicks(count, users=USERS)
            part, samples = share(broker.bootstrap, folder, model, events)
            print(f"{model}: telemetry has {part:.1%} of the worker's CPU ({samples} samples)", flush=True)
            found: dict[bool, list[float]] = {False: [], True: []}
            for number in range(ROUNDS):
                for watched in (number % 2 == 0, number % 2 == 1):
                    found[watched].append(one(broker.bootstrap, folder, model, events, watched=watched))
                print(model, number, {watched: round(times[-1], 1) for watched, times in found.items()}, flush=True)
            if not ROUNDS:
                continue
            off, on = (statistics.median(found[watched]) for watched in (False, True))
            ratios = sorted(on / off for on, off in zip(found[True], found[False], strict=True))
            print(f"{model}: {off:.1f} us of CPU per event without telemetry, {on:.1f} with (medians of {ROUNDS})")
            print(f"{model}: ratio {statistics.median(ratios):.3f}, rounds from {ratios[0]:.3f} to {ratios[-1]:.3f}", flush=True)


if __name__ == "__main__":
    main()
