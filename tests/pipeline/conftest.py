"""A fresh set of topics, data directory and worker for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processes.running import WorkerProcess, fresh_settings

from streams.kafka.topics import create_topics
from streams.settings import Settings


@pytest.fixture
def settings(broker: str, tmp_path: Path) -> Settings:
    """Settings with topics created; the test runs once on each broker."""
    made = fresh_settings(broker, tmp_path)
    create_topics(made)
    return made


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """A function that starts a worker process; all of them are killed after the test."""
    started: list[WorkerProcess] = []

    def make(settings: Settings, **extra: str) -> WorkerProcess:
        process = WorkerProcess(settings, tmp_path / f"worker-{len(started)}.log", **extra)
        started.append(process)
        return process.start()

    yield make
    for process in started:
        if process.alive:
            process.kill()
