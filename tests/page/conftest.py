"""A running shop for the page: a broker, a worker that has learned, and `ouzel serve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.processes.running import WorkerProcess, environment, fresh_settings, wait_until
from support.processes.serve_process import ServeProcess

from streams.kafka.topics import create_topics

SHOPPERS = ("--users", "60", "--items", "80")
LEARNED = 1500


@pytest.fixture(scope="module")
def worker(embedded: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The worker of the shop."""
    folder = tmp_path_factory.mktemp("shop")
    settings = fresh_settings(embedded, folder, model="hybrid", encoder="recency", profile="fast", session_timeout_s=20.0)
    create_topics(settings)
    worker = WorkerProcess(settings, folder / "worker.log").start()
    yield worker
    if worker.alive:
        worker.kill()


@pytest.fixture(scope="module")
def shop(worker: WorkerProcess) -> Iterator[ServeProcess]:
    """`ouzel serve`, with a model that has learned from some clicks, and simulated visitors."""
    settings, folder = worker.settings, worker.log.parent
    serve = ServeProcess(settings, folder / "serve.log", OUZEL_SERVE_WORKER_METRICS=f'["127.0.0.1:{worker.port}"]')
    simulate = [sys.executable, "-m", "serving.cli", "simulate", *SHOPPERS]
    others: subprocess.Popen[bytes] | None = None
    try:
        serve.start()
        worker.wait_ready(120)
        serve.wait_ready(120)
        subprocess.run([*simulate, "--events", str(LEARNED), "--rate", "0"], env=environment(settings), check=True)
        wait_until(lambda: worker.metrics().get("ouzel_transitions_total", 0) >= LEARNED, "the clicks are learned", 120)
        others = subprocess.Popen([*simulate, "--rate", "20"], env=environment(settings))
        yield serve
    finally:
        if others is not None:
            others.terminate()
            others.wait()
        if serve.alive:
            serve.kill()
