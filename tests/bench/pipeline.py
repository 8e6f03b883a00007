"""The cost of the plumbing: CPU per event of a worker, a bare aiokafka loop and idiomatic Faust.

The worker has the null model and runs with each delivery. All of them take turns in one run over
equal backlogs on an Apache Kafka; the figure is the ratio of their medians. Then the benchmark
measures freshness at 100 events/s: from sending an event to the arrival of its recommendation at a
consumer.

Needs KAFKA_HOME. ROUNDS and EVENTS are settable.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from bench.cpu import cpu_seconds
from bench.latency import latency
from support.journey import clicks
from support.processes.running import WorkerProcess, fresh_settings, produce

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics
from streams.settings import Settings

ROUNDS = int(os.environ.get("ROUNDS", "5"))
EVENTS = int(os.environ.get("EVENTS", "200000"))
IDIOMATIC_EVENTS = 6000
UNIT, SEED = 1024, 7
SAMPLE_EVERY_S = 0.5
"""A long interval, because each sample is a scrape, which costs the worker 3 ms."""
HERE = Path(__file__).parent


def per_event(samples: list[tuple[float, float]], warm: int) -> float:
    """CPU microseconds per event between the first sample after the warm-up and the last."""
    first = next(sample for sample in samples if sample[0] >= warm)
    last = samples[-1]
    return (last[1] - first[1]) / (last[0] - first[0]) * 1e6


def ouzel(settings: Settings, folder: Path, delivery: str, events: int = EVENTS) -> float:
    """CPU microseconds per event of a worker with the null model."""
    name = uuid.uuid4().hex[:8]
    mine = settings.model_copy(update={"app_id": name, "data_dir": folder / name, "delivery": delivery})
    worker = WorkerProcess(mine, folder / f"{name}.log").start()
    samples: list[tuple[float, float]] = []
    assert worker.process is not None
    while not samples or samples[-1][0] < events:
        assert worker.alive, worker.tail()
        samples.append((worker.done(), cpu_seconds(worker.process.pid)))
        time.sleep(SAMPLE_EVERY_S)
    worker.stop()
    shutil.rmtree(mine.data_dir)
    return per_event(samples, events // 5)


def child(script: str, settings: Settings, folder: Path, events: int, last: int) -> float:
    """CPU microseconds per event of a script of this folder, which prints its own CPU time."""
    own = folder / uuid.uuid4().hex[:8]
    own.mkdir()
    command = [sys.executable, str(HERE / script), settings.broker, settings.topic_prefix, str(own), str(events), str(last)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        samples = []
        for line in process.stdout:
            if line.startswith("["):
                samples.append(tuple(json.loads(line)))
                if samples[-1][0] >= events:
                    break
        process.kill()
    shutil.rmtree(own)
    return per_event(samples, events // 5)


def fresh_topics(broker: str, folder: Path, events: int) -> Settings:
    """Settings of new topics with a backlog of events."""
    settings = fresh_settings(broker, folder, max_poll_records=UNIT)
    create_topics(settings)
    produce(settings, clicks(events, users=5000))
    return settings


def freshness(broker: str, folder: Path, delivery: str, rate: int = 100, seconds: int = 30) -> tuple[float, float]:
    """p50 and p99 in ms from produced to consumed, at a steady rate, with the null model.

    The first second does not count.
    """
    settings = fresh_settings(broker, folder, delivery=delivery, data_dir=folder / f"freshness-{delivery}")
    create_topics(settings)
    worker = WorkerProcess(settings, folder / "freshness.log").start()
    worker.wait_ready()
    records = [
        (f"e{SEED}-{number}", key, value) for number, (key, value) in enumerate(clicks(rate * seconds, users=500, seed=SEED))
    ]
    events, made = settings.topic("events"), settings.topic("recommendations")
    measured = latency(settings, records, rate=rate, to=events, made=made, id_field="trigger_event_id")
    worker.stop()
    return measured


def main() -> None:
    """Run the rounds and print the results."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("KAFKA_HOME is not set: bench-pipeline needs a folder with Apache Kafka")
    results: dict[str, list[float]] = {"bare aiokafka": [], "leased": [], "exactly_once": [], "idiomatic Faust": []}
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        for number in range(ROUNDS):
            settings = fresh_topics(broker.bootstrap, folder, EVENTS)
            results["bare aiokafka"].append(child("bare.py", settings, folder, EVENTS, UNIT))
            for delivery in ("leased", "exactly_once"):
                settings = fresh_topics(broker.bootstrap, folder, EVENTS)
                results[delivery].append(ouzel(settings, folder, delivery))
            settings = fresh_topics(broker.bootstrap, folder, IDIOMATIC_EVENTS)
            results["idiomatic Faust"].append(child("idiomatic.py", settings, folder, IDIOMATIC_EVENTS, settings.partitions))
            latest = ", ".join(f"{name} {times[-1]:.1f}" for name, times in results.items())
            print(f"round {number + 1}, us of CPU per event: {latest}", flush=True)
        medians = {name: statistics.median(times) for name, times in results.items()}
        for name, median in medians.items():
            ratio = median / medians["bare aiokafka"]
            print(f"{name}: {median:.1f} us of CPU per event, {ratio:.2f} times the bare loop (median of {ROUNDS})")
        for delivery in ("leased", "exactly_once"):
            p50, p99 = freshness(broker.bootstrap, folder, delivery)
            print(f"freshness at 100 events/s without a model, {delivery}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    main()
