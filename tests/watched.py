"""A whole Ouzel that Prometheus watches: Apache Kafka, two workers, serve, real clicks, and somebody who shops by HTTP."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import sys
import threading
import time
import urllib.request
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from running import WorkerProcess, environment, free_port, fresh_settings, wait_until
from shortened import shortened

from deploy.prometheus.server import RULES, PrometheusServer
from serving.brokers import ApacheBroker
from serving.processes import Child
from streams.topics import create_topics

FASTER = 30
"""Rules' windows are divided by so much."""
RATE = 200
RANKS = (0, 2, 4, 8, 15)
"""Places of a ranking that are clicked in turn: one of each that is told apart."""


class Site:
    """The processes; a context manager."""

    def __init__(self, kafka_home: Path, clicks: Path, folder: Path) -> None:
        self._kafka_home, self._clicks, self._folder = kafka_home, clicks, folder
        self._stack = ExitStack()
        self._stopping = threading.Event()
        self.began = time.time()

    def __enter__(self) -> Site:
        with self._stack as stack:
            self.broker = stack.enter_context(ApacheBroker(self._kafka_home))
            self.settings = fresh_settings(
                self.broker.bootstrap, self._folder, model="hybrid", encoder="recency", profile="fast", snapshot_every_s=5.0
            )
            create_topics(self.settings)
            self.workers = [self._worker(number) for number in (1, 2)]
            self.port = free_port()
            self._start("serve", ["serve"], OUZEL_SERVE_PORT=str(self.port))
            rules = [shortened(path, FASTER, self._folder) for path in sorted(RULES.glob("*.yml"))]
            targets = {
                "ouzel-worker": [f"127.0.0.1:{worker.port}" for worker in self.workers],
                "ouzel-serve": [f"127.0.0.1:{self.port}"],
            }
            self.prometheus = stack.enter_context(PrometheusServer(self._folder, targets, rules, every_s=1))
            for worker in self.workers:
                worker.wait_ready(120.0)
            wait_until(self._serves, "serve ready")
            self._start("replay", ["replay", "--rate", str(RATE), str(self._clicks)])
            for work in (self._shop, self._listen):
                thread = threading.Thread(target=work, daemon=True)
                thread.start()
                stack.callback(thread.join, 10.0)
            stack.callback(self._stopping.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus has for an expression since the beginning, in steps of 2 s: series with values."""
        answer = self.prometheus.ask(
            "query_range", query=expression, start=f"{self.began}", end=f"{time.time()}", step="2"
        )  # fmt: skip
        result: list[dict[str, Any]] = answer["result"]
        return result

    def has(self, expression: str) -> bool:
        """Whether there is a number among them."""
        return any(value != "NaN" for series in self.ask(expression) for _, value in series["values"])

    def firing(self) -> set[str]:
        """Alerts that fire now."""
        return {one["labels"]["alertname"] for one in self.prometheus.ask("alerts")["alerts"] if one["state"] == "firing"}

    def learner(self) -> WorkerProcess:
        """The worker that says so."""
        (one,) = [worker for worker in self.workers if worker.alive and worker.metrics().get("ouzel_learner") == 1]
        return one

    def pause_broker(self) -> None:
        """Freeze Kafka."""
        self._signal_broker(signal.SIGSTOP)

    def resume_broker(self) -> None:
        """Let it go on."""
        self._signal_broker(signal.SIGCONT)

    def _signal_broker(self, number: signal.Signals) -> None:
        assert self.broker.child is not None
        os.killpg(self.broker.child.pid, number)

    def _worker(self, number: int) -> WorkerProcess:
        settings = self.settings.model_copy(update={"data_dir": self._folder / f"worker-{number}"})
        worker = WorkerProcess(settings, self._folder / f"worker-{number}.log").start()
        self._stack.callback(worker.kill)
        return worker

    def _start(self, name: str, arguments: list[str], **extra: str) -> Child:
        command = [sys.executable, "-m", "serving.cli", *arguments]
        child = Child(name, command, self._folder / f"{name}.log", {**environment(self.settings), **extra})
        return self._stack.enter_context(child)

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2):
                return True
        except OSError:
            return False

    # somebody who shops: looks at what is recommended, clicks on it, and says so

    def _shop(self) -> None:
        for number in itertools.count():
            user = f"shopper-{number % 8}"
            try:
                found = self._call("POST", "/v1/events?wait_ms=500", [_event(user, f"seen-{number % 5}", "view")])["recommendation"]
                shown = found["items"][:20] if found else []
                named = found["recommendation_id"] if found else "none"
                self._call("POST", "/v1/events", [_event(user, one["item_id"], "impression", named) for one in shown])
                chosen = shown[RANKS[number % len(RANKS)] % len(shown)]["item_id"] if shown else "seen-0"
                self._call("POST", "/v1/events", [_event(user, chosen, "click", named)])
                self._call("POST", "/v1/events", [_event(user, chosen, "view", f"{self.settings.topic('events')}-0-999999999")])
                self._call("GET", f"/v1/recommendations/{user}")
                self._call("GET", "/v1/recommendations/nobody-yet")
            except (OSError, http.client.HTTPException):
                pass  # Kafka is away, or we are stopping
            if self._stopping.wait(0.2):
                return

    def _call(self, method: str, path: str, body: list[dict[str, Any]] | None = None) -> Any:
        if body == []:
            return None
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"content-type": "application/json"})
        request.method = method
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def _listen(self) -> None:
        """Hold a stream of fresh rankings open."""
        while not self._stopping.is_set():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/users/shopper-0/stream", timeout=2) as stream:
                    while not self._stopping.is_set():
                        stream.readline()
            except OSError:
                self._stopping.wait(0.5)


def _event(user: str, item: str, kind: str, recommendation: str | None = None) -> dict[str, Any]:
    named = {} if recommendation is None else {"recommendation_id": recommendation}
    return {"user_id": user, "item_id": item, "event_type": kind, "event_id": uuid.uuid4().hex} | named
