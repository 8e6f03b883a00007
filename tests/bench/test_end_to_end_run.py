"""The end-to-end benchmark runs in a small form, and its counts add up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.end_to_end.bench import OWN_ITEMS, Bench, plain
from bench.end_to_end.catching_up import catching_up
from bench.end_to_end.freshness import freshness
from bench.end_to_end.report import markdown

from serving.demo.brokers import ApacheBroker

RATE = 500.0
CLICKS = "rsc15/yoochoose-clicks-100k_test.txt"


@pytest.fixture(scope="module")
def bench(kafka_home: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert (data / CLICKS).is_file(), f"{data} has no {CLICKS}"
    with ApacheBroker(kafka_home) as broker:
        yield Bench(broker, tmp_path_factory.mktemp("bench"), 0.01, [OWN_ITEMS], [1], str(data / CLICKS))


def test_each_event_at_a_rate_has_one_recommendation_and_cpu_is_told_by_process(bench: Bench) -> None:
    (measured,) = freshness(bench, rates=(RATE,))
    events = measured["events"]
    assert events == RATE * bench.seconds(0)
    assert measured["written"] == {"events": events, "transitions": events, "recommendations": measured["recommendations"]}
    assert (measured["recommendations"], measured["missing"], measured["repeated"]) == (events, 0, 0)
    assert 0 < measured["p50_ms"] <= measured["p99_ms"] <= measured["p999_ms"]
    assert all(measured["cpu_us"][part] > 0 for part in ("worker", "broker", "generator", "consumer"))
    assert 0 < measured["shares"]["run"] <= 1
    assert {"step", "rank", "deliver"} <= set(measured["stages_us"])
    report(bench, {"freshness": [measured]})


def test_each_event_of_a_backlog_has_one_recommendation_and_the_recall_that_the_worker_counts(bench: Bench) -> None:
    measured = catching_up(bench)
    assert measured["events"] == 2000
    assert (measured["missing"], measured["repeated"]) == (0, 0)
    assert measured["rate"] > 0
    assert measured["recall"] == pytest.approx(measured["workers_recall"], abs=0.001)
    report(bench, {"catching-up": measured})


def report(bench: Bench, measurements: dict[str, Any]) -> None:
    """Write a report of these measurements."""
    machine = {
        "commit": "c", "processor": "p", "cores": 2, "memory_gb": 1, "system": "s", "python": "3", "kafka": "4", "packages": {},
        "yardstick_gflops": 1.0,
    }  # fmt: skip
    text = markdown(plain({
        "date": "d", "scale": bench.scale, "data": bench.described, "machine": machine, "measurements": measurements,
    }))  # fmt: skip
    assert "## " in text
