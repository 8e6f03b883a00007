"""What the demo reads from a worker's endpoint, against the worker's own telemetry."""

from __future__ import annotations

from prometheus_client import generate_latest
from support.processes.running import free_port

from serving.state.worker_metrics import parse, scrape
from streams.counts import Counts
from streams.observing.telemetry import Telemetry


def test_a_worker_that_has_just_started_has_no_counts_and_no_accuracy() -> None:
    metrics = parse(generate_latest(Telemetry().registry).decode())
    assert not metrics.ready
    assert (metrics.done, metrics.transitions, metrics.recommendations, metrics.dead_letters) == (0, 0, 0, 0)
    assert (metrics.recall, metrics.popularity_recall) == (None, None)


def test_counters_are_summed_over_their_labels_and_replayed_events_count_once() -> None:
    telemetry = Telemetry()
    telemetry.process.ready.set(1)
    counts = Counts()
    for reason in ("invalid_json", "too_large", "too_large"):
        counts.dead_letter(reason)
    counts.transition(8)
    counts.recommendation("hybrid", 7)
    counts.recommendation("popularity", 2)
    outcomes = [("view", "accepted")] * 4 + [("purchase", "accepted")] * 3 + [("view", "late")] * 2
    outcomes += [("unknown", "dead_letter")] * 3 + [("unknown", "replayed")] * 50
    telemetry.unit_done(outcomes, counts, [], [], now=0.0)
    telemetry.group.lag.labels("0").set(4)
    telemetry.group.lag.labels("1").set(1)
    metrics = parse(generate_latest(telemetry.registry).decode())
    assert metrics.ready
    assert metrics.done == 12
    assert metrics.events == {"accepted": 7, "late": 2, "dead_letter": 3, "replayed": 50}
    assert (metrics.dead_letters, metrics.transitions, metrics.interactions) == (3, 8, 8)
    assert (metrics.recommendations, metrics.lag) == (9, 5)


def test_accuracy_is_read_by_method() -> None:
    text = """# TYPE ouzel_prequential_recall gauge
ouzel_prequential_recall{k="20",method="model"} 0.61
ouzel_prequential_recall{k="20",method="popularity"} 0.12
# TYPE ouzel_prequential_mrr gauge
ouzel_prequential_mrr{k="20",method="model"} NaN
# TYPE ouzel_prequential_tests_total counter
ouzel_prequential_tests_total{method="model"} 5.0
"""
    metrics = parse(text)
    assert (metrics.recall, metrics.popularity_recall, metrics.mrr) == (0.61, 0.12, None)


def test_a_closed_port_is_no_answer() -> None:
    assert scrape(free_port()) is None
