"""The summary of the workers' metrics, against the worker's own telemetry."""

from __future__ import annotations

import io
import urllib.request
from collections import defaultdict

import msgspec
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving.state import worker_metrics
from serving.state.workers import Accuracy, Samples, WorkerCounts, fetch, summarize
from streams.observing.observer import MetricsObserver
from streams.observing.telemetry import Telemetry


def worker(hits: int, misses: int, *, learner: bool = False) -> Samples:
    """Return the scrape of a worker with so many tests."""
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
    summary = summarize([worker(30, 10, learner=True), worker(10, 50), worker(0, 0)], 4)
    assert summary.workers == WorkerCounts(4, 3, 3)
    assert (summary.lag, summary.loss, summary.learner_lag, summary.tests) == (9, 2.5, 7, 100)
    assert summary.accuracy[0] == Accuracy("model", pytest.approx(0.4), pytest.approx(0.4))
    assert [accuracy.method for accuracy in summary.accuracy] == ["model", "popularity"]


def test_before_the_first_test_there_is_no_accuracy() -> None:
    summary = summarize([worker(0, 0)], 1)
    assert (summary.tests, summary.accuracy) == (0, [])


TESTED = b'ouzel_prequential_tests_total{method="model"} '


@pytest.mark.parametrize(
    "answer",
    [
        b"ouzel_ready 1\nouzel_consumer_lag NaN\nouzel_events_total +Inf\n",
        b"ouzel_ready 1\nouzel_learner 1\nouzel_learner_lag -Inf\nouzel_loss Inf\n",
        b'ouzel_ready 1\nouzel_prequential_recall{k="20"} 1\n' + TESTED + b"5\n",
        b'ouzel_ready 1\nouzel_prequential_recall{k="20",method="model"} 1\n' + TESTED + b"Inf\n",
        b"ouzel_ready 1\n" + TESTED + b"NaN\n",
        b"ouzel_ready{\n",
        b"ouzel_ready\xff 1\n",
        b"<html>ouzel_ready</html>",
        b"",
    ],
)
def test_whatever_answers_at_the_address_of_a_worker_is_summarized_or_left_out(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(answer))
    scrape = fetch("127.0.0.1:1")
    summary = summarize([] if scrape is None else [scrape], 1)
    assert msgspec.json.encode(summary)
    assert (summary.lag, summary.learner_lag, summary.loss) in ((None, None, None), (None, 0, None))
    worker_metrics.scrape(1)
