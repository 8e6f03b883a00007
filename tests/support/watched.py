"""A complete Ouzel watched by Prometheus.

It has Apache Kafka, two workers, serve, a replay of real clicks, an intake with a topic of another
system, and a client that shops by HTTP.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from support.processes.intake_process import IntakeProcess, create_source
from support.processes.running import WorkerProcess, environment, fresh_settings, wait_until
from support.processes.serve_process import ServeProcess
from support.shopping import Shopper
from support.shortened import shortened

from deploy.prometheus.server import RULES, PrometheusServer
from serving.demo.brokers import ApacheBroker
from serving.demo.processes import Child
from streams.kafka.topics import create_topics
from streams.settings import Settings

FASTER = 30
"""The windows of the rules are divided by this."""
EVERY_S = 2
RATE = 200
"""Clicks per second."""


class OtherSystem(threading.Thread):
    """Produces a few clicks a second to a topic of its own, until `stop`."""

    def __init__(self, settings: Settings, topic: str) -> None:
        super().__init__(daemon=True)
        self._settings, self._topic, self._stopping = settings, topic, threading.Event()

    def run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._settings.broker, max_block_ms=60_000)
        number = 0
        while not self._stopping.wait(0.2):
            number += 1
            event = {"user_id": f"other-{number % 20}", "item_id": f"{number % 50}", "event_type": "view"}
            producer.send(self._topic, value=json.dumps(event).encode())
        producer.close(5)

    def stop(self) -> None:
        """Stop producing, and wait for the thread to end."""
        self._stopping.set()
        self.join(30)


class Site:
    """Starts and stops the processes; a context manager."""

    def __init__(self, kafka_home: Path, clicks: Path, folder: Path) -> None:
        self._kafka_home, self._clicks, self._folder = kafka_home, clicks, folder
        self._stack = ExitStack()
        self.began = time.time()

    def __enter__(self) -> Site:
        with self._stack as stack:
            self.broker = stack.enter_context(ApacheBroker(self._kafka_home))
            self.settings = fresh_settings(
                self.broker.bootstrap, self._folder, model="hybrid", encoder="recency", profile="fast", snapshot_every_s=5.0
            )
            create_topics(self.settings)
            self.workers = [self._worker(number) for number in (1, 2)]
            metrics = [f"127.0.0.1:{worker.port}" for worker in self.workers]
            self.serve = ServeProcess(self.settings, self._folder / "serve.log", OUZEL_SERVE_WORKER_METRICS=json.dumps(metrics))
            self.serve.start()
            stack.callback(self.serve.kill)
            rules = [shortened(path, FASTER, self._folder) for path in sorted(RULES.glob("*.yml"))]
            self.intake = self._intake()
            targets = {
                "ouzel-worker": metrics,
                "ouzel-serve": [f"127.0.0.1:{self.serve.port}"],
                "ouzel-intake": [f"127.0.0.1:{self.intake.port}"],
            }
            self.prometheus = stack.enter_context(PrometheusServer(self._folder, targets, rules, every_s=EVERY_S))
            for worker in self.workers:
                worker.wait_ready(120.0)
            self.serve.wait_ready()
            self.intake.wait_ready()
            self.replay = stack.enter_context(self._replay())
            shopper = Shopper(self.serve.port, self.settings.topic("events"))
            shopper.start()
            stack.callback(shopper.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def check(self) -> None:
        """Fail, with the end of its log, if a process has ended that should still run."""
        for process in (*self.workers, self.serve, self.intake):
            assert process.alive, process.tail()
        assert self.replay.returncode is None, self.replay.tail()

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Series of an expression since the start, with a value every 2 s, from Prometheus."""
        answer = self.prometheus.ask("query_range", query=expression, start=f"{self.began}", end=f"{time.time()}", step="2")
        result: list[dict[str, Any]] = answer["result"]
        return result

    def has(self, expression: str) -> bool:
        """Whether an expression has had a number since the start."""
        return any(value != "NaN" for series in self.ask(expression) for _, value in series["values"])

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return {one["labels"]["alertname"] for one in self.prometheus.ask("alerts")["alerts"] if one["state"] == "firing"}

    def learner(self) -> WorkerProcess:
        """Wait until exactly one worker is the learner; a hand-over may have none or two."""
        learners: list[WorkerProcess] = []

        def one() -> bool:
            learners[:] = [worker for worker in self.workers if worker.alive and worker.metrics().get("ouzel_learner") == 1]
            return len(learners) == 1

        wait_until(one, "one learner", 30.0)
        return learners[0]

    def pause_broker(self) -> None:
        """Freeze the broker's process."""
        self._signal_broker(signal.SIGSTOP)

    def resume_broker(self) -> None:
        """Let the broker's process continue."""
        self._signal_broker(signal.SIGCONT)

    def _signal_broker(self, number: signal.Signals) -> None:
        assert self.broker.child is not None
        os.killpg(self.broker.child.pid, number)

    def _worker(self, number: int) -> WorkerProcess:
        settings = self.settings.model_copy(update={"data_dir": self._folder / f"worker-{number}"})
        worker = WorkerProcess(settings, self._folder / f"worker-{number}.log").start()
        self._stack.callback(worker.kill)
        return worker

    def _intake(self) -> IntakeProcess:
        topic = f"shop-{self.settings.topic_prefix}clicks"
        create_source(self.settings, topic, 2)
        intake = IntakeProcess(self.settings, self._folder / "intake.log", [{"topic": topic}])
        intake.start()
        self._stack.callback(intake.kill)
        other = OtherSystem(self.settings, topic)
        other.start()
        self._stack.callback(other.stop)
        return intake

    def _replay(self) -> Child:
        command = [sys.executable, "-m", "serving.cli", "replay", "--rate", str(RATE), str(self._clicks)]
        return Child("replay", command, self._folder / "replay.log", environment(self.settings))
