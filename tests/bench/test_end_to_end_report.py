"""The report of the end-to-end benchmark."""

from __future__ import annotations

import json
import math
from typing import Any
from xml.etree import ElementTree

import pytest
from bench.end_to_end import report
from bench.end_to_end.bench import plain

MACHINE = {
    "commit": "abc", "processor": "a processor", "cores": 2, "memory_gb": 16.0, "system": "Linux", "python": "3.11.9",
    "kafka": "4.3.1", "packages": {"torch": "2.13.0"}, "yardstick_gflops": 61.25,
}  # fmt: skip


def step(rate: float, *reasons: str) -> dict[str, Any]:
    return {
        "rate": rate, "p50_ms": 8.25, "p99_ms": math.inf, "p999_ms": math.inf, "recall": 0.6412, "offline_recall": 0.6493,
        "lag_growth": 0.021, "cpu_us": {"worker": 645.2, "broker": 412.0}, "shares": {"run": 0.94, "others": 0.03},
        "stages_us": {"step": 40.0, "model learn": 140.0}, "events_per_unit": 3.5, "generator_late_p99_ms": 1.25,
        "sustained": not reasons, "reasons": list(reasons),
    }  # fmt: skip


def result(**measurements: Any) -> dict[str, Any]:
    whole = {"date": "2026-11-30", "scale": 0.1, "data": "clicks", "machine": MACHINE, "measurements": measurements}
    return json.loads(json.dumps(plain(whole), allow_nan=False))  # as the file has it


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the rows whose first cell is this."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in cells if row[0] == first]


def test_the_head_names_machine_versions_commit_and_yardstick() -> None:
    text = report.markdown(result())
    for told in ("a processor, 2 cores", "Apache Kafka 4.3.1", "commit abc, scale 0.1", "61.2 GFLOP/s", "torch 2.13.0"):
        assert told in text


def test_throughput_shows_the_sustained_rate_and_every_rate_that_was_tried() -> None:
    measured = {
        "items": 2933,
        "workers": 1,
        "sustained": 1500.0,
        "backlog": {"rate": 3080.0},
        "steps": [step(1500.0), step(2500.0, "lag")],
    }
    text = report.markdown(result(throughput=[measured]))
    summary, *tried = rows(text, "2,933")
    assert summary[2:8] == ["1,500", "3,080", "8.2", "never", "never", ".641"]
    assert [row[2] for row in tried] == ["1,500", "2,500"]
    assert [row[-1] for row in tried] == ["yes", "lag"]
    assert tried[0][3] == "+2.1%"


def test_throughput_says_if_no_rate_was_sustained() -> None:
    measured = {"items": 2933, "workers": 1, "sustained": None, "backlog": {"rate": 3080.0}, "steps": [step(2500.0, "lag")]}
    assert rows(report.markdown(result(throughput=[measured])), "2,933")[0][2] == "none of those tried"


def test_a_column_in_which_nothing_was_measured_is_left_out() -> None:
    assert report.table(("a", "b", "c"), [["1", "", "3"], ["1", "", ""]]).splitlines()[0] == "| a | c |"


def test_freshness_has_a_row_per_rate_with_cpu_by_process_and_stages() -> None:
    text = report.markdown(result(freshness=[step(100.0), step(1000.0)]))
    (row,) = rows(text, "1,000")
    assert row[6:8] == ["645", "412"]
    assert row[-1] == "1.2"
    assert rows(text, "1,000/s") == [["1,000/s", "3.5", "40", "140"]]


RECOVERY = {
    "sessions": [
        {"sessions": size, "start_s": 4.0, "start_without_disk_s": 5.0, "memory_mb": {"worker": 300.0, "trainer": 0.0},
         "memory_after_start_mb": {"worker": 250.0 + size / 1e4, "trainer": 0.0}, "disk_mb": size / 1e4}
        for size in (100_000, 300_000, 1_000_000)
    ],
    "items": [
        {"items": size, "start_s": 6.0, "memory_mb": {"worker": 500.0 + size / 100, "trainer": 0.0}, "model_file_mb": size / 1000,
         "disk_mb": 1.0}
        for size in (3000, 30_000, 100_000)
    ],
}  # fmt: skip


def test_recovery_tells_how_memory_and_disk_grow_per_hundred_thousand() -> None:
    text = report.markdown(result(recovery=RECOVERY))
    assert "Growth per 100,000 sessions: memory after start 10.0 MB, disk 10.0 MB." in text
    assert "Growth per 100,000 items: memory 1,000.0 MB, model file 100.0 MB." in text


def test_recovery_is_drawn_as_svg_that_stands_alone() -> None:
    charts = report.charts(result(recovery=RECOVERY))
    assert list(charts) == ["bench-sessions.svg", "bench-items.svg"]
    for drawn in charts.values():
        assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert "1,000,000" in charts["bench-sessions.svg"]


def test_the_costs_of_the_plumbing_are_ratios_to_the_bare_loop() -> None:
    text = report.markdown(result(beside={"bare": 30.0, "Ouzel": 39.0}))
    assert rows(text, "Ouzel") == [["Ouzel", "39.0", "1.30"]]


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (0.5, ".500"), (1.0, "1.000")])
def test_recall_has_three_digits(value: float | None, shown: str) -> None:
    assert report.recall(value) == shown
