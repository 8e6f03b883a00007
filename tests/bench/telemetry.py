"""The cost of telemetry: CPU per event of a worker, with the null model and with the hybrid.

There are two figures. The *share* is the part of py-spy's samples of a working worker that are in
telemetry's code. It concerns one process, so other processes on the machine do not change it.

The *ratio* compares workers with and without telemetry (`metrics_port` 0). They take turns over
equal backlogs on an Apache Kafka, each first in every other round; the figure is the median of the
rounds' ratios. A worker without an endpoint reports no progress, so the recommendations in their
topic count as events done. A measurement ends when the learner is at rest, too. The endpoint is
scraped every 5 s.

Needs KAFKA_HOME. ROUNDS, EVENTS (null) and HYBRID_EVENTS are settable; ROUNDS=0 skips the ratio.
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
from bench.cpu import cpu_seconds
from bench.pipeline import UNIT
from kafka import KafkaConsumer, TopicPartition
from support.journey import clicks
from support.processes.running import WorkerProcess, fresh_settings

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
ROOT = Path(__file__).parents[2]
SAMPLE_EVERY_S = 0.25
SCRAPE_EVERY = 20
REST_S, AT_REST = 2.0, 0.1
"""A worker is at rest if it has used less than a tenth of a core for two seconds."""
SAMPLES_PER_S, PROFILED_S = 200, {"null": 4, "hybrid": 10}
"""Shorter with the null model, which finishes a backlog of 300,000 events in 8 s."""
OBSERVING = ("accuracy", "attribution", "disk", "exposure", "histogram", "lag", "observer", "ranking_cache", "telemetry")
OWN_TELEMETRY = (
    *(f"streams/observing/{name}.py" for name in OBSERVING),
    "streams/engine/oldest.py",
    "streams/engine/sensor.py",
    "models/gate/per_expert.py",
)
TELEMETRY = (*OWN_TELEMETRY, "prometheus_client/")
"""Telemetry's code. A sample counts if any of its frames is there, so callees count, too."""


def shop(events: int) -> Iterator[tuple[bytes, bytes]]:
    """The events of a simulated shop, as keys and values."""
    made = Shop(seed=1, users=USERS, items=ITEMS, events=events, start_ms=1_700_000_000_000, shift_at=None)
    for event in made.run(step_ms=20):
        if not isinstance(event, Product):
            yield event["user_id"].encode(), json.dumps(event).encode()


async def fill(settings: Settings, events: list[tuple[bytes, bytes]]) -> None:
    """Send the backlog in large batches; kafka-python would take minutes."""
    outbox = Outbox()
    for key, value in events:
        outbox.to(settings.topic("events"), crc32(key) % settings.partitions).append((key, value, NO_HEADERS))
    async with AIOKafkaProducer(bootstrap_servers=settings.broker, max_batch_size=BATCH_BYTES) as producer:
        await send(producer, outbox)


def one(broker: str, folder: Path, model: str, events: list[tuple[bytes, bytes]], *, watched: bool) -> float:
    """CPU microseconds per event of one worker, on new topics with a backlog.

    ``watched`` turns telemetry on.
    """
    settings = fresh_settings(broker, folder, max_poll_records=UNIT, model=model, data_dir=folder / uuid.uuid4().hex)
    create_topics(settings)
    asyncio.run(fill(settings, events))
    cost = per_event(settings, folder, watched=watched)
    shutil.rmtree(settings.data_dir)
    return cost


def share(broker: str, folder: Path, model: str, events: list[tuple[bytes, bytes]]) -> tuple[float, int]:
    """The share of telemetry in the CPU of a worker on a backlog, and the number of samples."""
    settings = fresh_settings(broker, folder, max_poll_records=UNIT, model=model, data_dir=folder / uuid.uuid4().hex)
    create_topics(settings)
    asyncio.run(fill(settings, events))
    worker, raw = WorkerProcess(settings, folder / "profiled.log").start(), folder / "profile"
    assert worker.process is not None
    worker.wait_ready(180)
    py_spy = str(Path(sys.executable).with_name("py-spy"))
    length = ("--rate", str(SAMPLES_PER_S), "--duration", str(PROFILED_S[model]))
    command = [py_spy, "record", *length, "--format", "raw", "--output", str(raw), "--pid", str(worker.process.pid)]
    subprocess.run(command, check=True, capture_output=True)
    assert worker.lag() > 0, "the backlog was done before the profile: raise EVENTS or HYBRID_EVENTS"
    worker.stop(30)
    shutil.rmtree(settings.data_dir)
    total = in_telemetry = 0
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        in_telemetry += int(count) if any(place in stack for place in TELEMETRY) else 0
    return in_telemetry / total, total


def per_event(settings: Settings, folder: Path, *, watched: bool) -> float:
    """CPU microseconds per event, from a fifth of the backlog until the worker is at rest."""
    events = EVENTS[settings.model]
    endpoint = {} if watched else {"OUZEL_METRICS_PORT": "0"}
    worker = WorkerProcess(settings, folder / "worker.log", **endpoint).start()
    assert worker.process is not None
    pid = worker.process.pid
    consumer = KafkaConsumer(**consumer_config(settings))
    partitions = [TopicPartition(settings.topic("recommendations"), n) for n in range(settings.partitions)]
    first: tuple[int, float] | None = None
    past: list[float] = []
    turns = int(REST_S / SAMPLE_EVERY_S)
    try:
        while True:
            time.sleep(SAMPLE_EVERY_S)
            assert worker.alive, worker.tail()
            done, cpu = sum(consumer.end_offsets(partitions).values()), cpu_seconds(pid)
            past.append(cpu)
            if watched and len(past) % SCRAPE_EVERY == 0:
                worker.metrics()
            if first is None and done >= events // 5:
                first = done, cpu
            if done >= events and len(past) > turns and cpu - past[-1 - turns] < AT_REST * REST_S:
                assert first is not None
                assert first[0] < events / 2, "half of the backlog was done at the first sample: raise EVENTS or HYBRID_EVENTS"
                return (cpu - first[1]) / (events - first[0]) * 1e6
    finally:
        consumer.close()
        worker.stop(30)


def main() -> None:
    """Measure both figures for both models, and print them."""
    missing = [path for path in OWN_TELEMETRY if not (ROOT / path).is_file()]
    assert not missing, f"telemetry's code is no longer at {missing}: correct OBSERVING or OWN_TELEMETRY"
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("KAFKA_HOME is not set: bench-telemetry needs a folder with Apache Kafka")
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, count in EVENTS.items():
            events = list(shop(count)) if model == "hybrid" else clicks(count, users=USERS)
            part, samples = share(broker.bootstrap, folder, model, events)
            print(f"{model}: telemetry uses {part:.1%} of the worker's CPU ({samples} samples)", flush=True)
            costs: dict[bool, list[float]] = {False: [], True: []}
            for number in range(ROUNDS):
                for watched in (number % 2 == 0, number % 2 == 1):
                    costs[watched].append(one(broker.bootstrap, folder, model, events, watched=watched))
                off, on = costs[False][-1], costs[True][-1]
                print(f"{model}, round {number + 1}: {off:.1f} us of CPU per event without telemetry, {on:.1f} with", flush=True)
            if not ROUNDS:
                continue
            off, on = (statistics.median(costs[watched]) for watched in (False, True))
            ratios = sorted(with_it / without for with_it, without in zip(costs[True], costs[False], strict=True))
            print(f"{model}: {off:.1f} us of CPU per event without telemetry, {on:.1f} with (medians of {ROUNDS})")
            print(
                f"{model}: median ratio {statistics.median(ratios):.3f}, in the rounds from {ratios[0]:.3f} to {ratios[-1]:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
