"""What the workers' endpoints say together, by the worker's own telemetry."""

from __future__ import annotations

from collections import defaultdict

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving.state.workers import Accuracy, Samples, WorkerCounts, summarize
from streams.observing.observer import MetricsObserver
from streams.observing.telemetry import Telemetry


def worker(hits: int, misses: int, *, learner: bool = False) -> Samples:
    """The scrape of a worker with so many tests."""
    telemetry = Telemetry()
    observer = MetricsObserver(telemetry, "events", frozenset)
    for _ in range(hits):
        observer.accuracy.test("a", ["a"], {}, {"rules": ["b"]})
    for _ in range(misses):
        observer.accuracy.test("b", ["a"], {})
    telemetry.process.ready.set(1)
    telemetry.model.is_learner.set(learner)
    telemetry.model.loss.set(2.5 if learner else float("nan"))
    telemetry.model.learner_lag.set(7)
    telemetry.group.lag.labels("0").set(3)
    samples = defaultdict(list)
    for family in text_string_to_metric_families(generate_latest(telemetry.registry).decode()):
        for sample in family.samples:
            samples[sample.name].append((sample.labels, sample.value))
    return samples


def test_counts_are_summed_and_accuracies_weighted_by_their_tests() -> None:
    told = summarize([worker(30, 10, learner=True), worker(10, 50), worker(0, 0)], 4)
    assert told.workers == WorkerCounts(4, 3, 3)
    assert (told.lag, told.loss, told.learner_lag, told.tests) == (9, 2.5, 7, 100)
    assert told.accuracy[0] == Accuracy("model", pytest.approx(0.4), pytest.approx(0.4))
    assert [accuracy.method for accuracy in told.accuracy] == ["model", "popularity"]


def test_before_the_first_test_there_is_no_accuracy() -> None:
    told = summarize([worker(0, 0)], 1)
    assert (told.tests, told.accuracy) == (0, [])
