"""The first check of the fault card: kill -9 in the middle of the work, on Apache Kafka."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.journey import assert_accounted, clicks, wait_done
from support.oracle import in_changelog
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from streams.kafka.topics import create_topics

EVENTS = 20_000
KILLS = 5


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk lost"])
def test_kill_9_loses_nothing_and_applies_nothing_twice(
    kafka: str, tmp_path: Path, worker: Callable[..., WorkerProcess], wiped: bool
) -> None:
    settings = fresh_settings(kafka, tmp_path, max_poll_records=64, session_timeout_s=2.0)
    create_topics(settings)
    records = clicks(EVENTS, users=300)
    share = EVENTS // (KILLS + 1)
    for kill in range(KILLS):
        produced = produce(settings, records[kill * share : (kill + 1) * share]) * (kill + 1)
        running = worker(settings)
        wait_until(partial(_has_done, running, share // 10), "events done", every_s=0.005)
        running.kill()
        assert sum(offset + 1 for offset in in_changelog(settings)[1].values()) < produced, "the worker was done before the kill"
        if wiped:
            shutil.rmtree(settings.data_dir)
    produce(settings, records[KILLS * share :])
    last = worker(settings)
    wait_done(settings, EVENTS)
    assert last.stop() == 0, last.tail()
    assert_accounted(settings, repeats=True)


def _has_done(worker: WorkerProcess, events: int) -> bool:
    return worker.done() > events
