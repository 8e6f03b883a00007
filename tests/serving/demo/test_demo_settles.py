"""When the demo considers a run finished: what it reads from topics, counters and the source."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from serving.demo import demo
from serving.demo.stage import DemoOptions
from serving.demo.tally import Counts
from serving.state.worker_metrics import WorkerMetrics

DONE = WorkerMetrics(events={"accepted": 2}, interactions=2, transitions=2, recommendations=2)
READ = {"events": 2, "transitions": 2, "recommendations": 2, "dead-letters": 0}


class Run:
    """Stand-ins for what `Watch` sees of a run on Apache Kafka, with a clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.source = SimpleNamespace(returncode=None)
        self.metrics = WorkerMetrics()
        self.tally = SimpleNamespace(counts=Counts(), lock=threading.Lock(), failure=None, reached=lambda ends: True)
        stage: Any = SimpleNamespace(source=self.source, metrics=lambda: self.metrics, settings=None, check=lambda: None)
        tally: Any = self.tally
        self.before_end_offsets = lambda: None
        monkeypatch.setattr(demo, "end_positions", lambda settings: self.before_end_offsets())
        self.watch = demo.Watch(DemoOptions(broker="k:9092"), Console(), stage, tally, lambda: self.now)

    def finished(self, at: float) -> bool:
        self.now = at
        return self.watch.finished()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


def test_a_run_is_finished_one_second_after_the_last_change(run: Run) -> None:
    assert not run.finished(0.0)
    assert not run.finished(5.0), "the source still runs"
    run.source.returncode = 0
    assert not run.finished(5.5), "the last events of the source may not have been read yet"
    run.metrics, run.tally.counts.records = DONE, dict(READ)
    assert not run.finished(6.0)
    assert not run.finished(6.9)
    assert run.finished(7.1)


def test_records_that_arrive_while_the_end_offsets_are_read_are_waited_for(run: Run) -> None:
    run.source.returncode = 0

    def arrive() -> None:
        run.tally.counts.records = dict(READ)

    run.before_end_offsets = arrive
    assert not run.finished(0.0)
    assert not run.finished(2.0), "the counters are older than the records"
    run.metrics = DONE
    assert not run.finished(2.2)
    assert run.finished(3.3)


def test_a_run_also_ends_when_counters_differ_for_ten_seconds(run: Run) -> None:
    run.source.returncode = 0
    run.metrics, run.tally.counts.records = DONE, READ | {"transitions": 1}
    assert not run.finished(0.0)
    assert not run.finished(9.9)
    assert run.finished(10.1)
