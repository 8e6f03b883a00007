"""When the demo takes a run for done: a consistent look at topics, counters and the source of events."""

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
    """A run on a Kafka, as far as `Watch` sees it, with a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.source = SimpleNamespace(returncode=None)
        self.metrics = WorkerMetrics()
        self.tally = SimpleNamespace(counts=Counts(), lock=threading.Lock(), failure=None, reached=lambda ends: True)
        stage: Any = SimpleNamespace(source=self.source, metrics=lambda: self.metrics, settings=None, check=lambda: None)
        tally: Any = self.tally
        self.asked_for_ends = lambda: None
        monkeypatch.setattr(demo, "end_positions", lambda settings: self.asked_for_ends())
        self.watch = demo.Watch(DemoOptions(broker="k:9092"), Console(), stage, tally, lambda: self.now)

    def finished(self, at: float) -> bool:
        self.now = at
        return self.watch._finished()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


def test_it_is_done_a_second_after_the_last_that_happened(run: Run) -> None:
    assert not run.finished(0.0)
    assert not run.finished(5.0), "there is a source"
    run.source.returncode = 0
    assert not run.finished(5.5), "what it sent last may not have been read yet"
    run.metrics, run.tally.counts.records = DONE, dict(READ)
    assert not run.finished(6.0)
    assert not run.finished(6.9)
    assert run.finished(7.1)


def test_what_comes_while_the_ends_are_asked_for_is_waited_for(run: Run) -> None:
    run.source.returncode = 0

    def come() -> None:
        run.tally.counts.records = dict(READ)

    run.asked_for_ends = come
    assert not run.finished(0.0)
    assert not run.finished(2.0), "the counters are older than what was read"
    run.metrics = DONE
    assert not run.finished(2.2)
    assert run.finished(3.3)


def test_counters_that_differ_for_long_end_it_too(run: Run) -> None:
    run.source.returncode = 0
    run.metrics, run.tally.counts.records = DONE, READ | {"transitions": 1}
    assert not run.finished(0.0)
    assert not run.finished(9.9)
    assert run.finished(10.1)
