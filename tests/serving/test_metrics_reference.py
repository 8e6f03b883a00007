"""The reference of metrics that users read is the one of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram

from serving.metrics_reference import metrics, reference, unit
from serving.state import telemetry
from streams.intake import telemetry as intake
from streams.observing.histogram import BulkHistogram
from streams.observing.metrics import LABELS, SECTIONS

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference(), "run: python -m serving.metrics_reference"


def test_the_command_writes_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "serving.metrics_reference", str(tmp_path / "new.md")], check=True, cwd=ROOT)
    assert (tmp_path / "new.md").read_text() == reference()


def test_every_label_is_explained_and_every_explanation_is_of_a_label() -> None:
    registry = CollectorRegistry()
    for section in SECTIONS:
        section(registry)
    serving, of_intake = telemetry.ServingTelemetry().registry, intake.IntakeTelemetry().registry
    for declared, labels, least in (
        (registry, LABELS, 20), (serving, telemetry.LABELS, 20), (of_intake, intake.LABELS, 10),
    ):  # fmt: skip
        listed = list(metrics(declared))
        assert {label for metric in listed for label in metric.labels} == set(labels)
        assert all(metric.name.startswith("ouzel_") and metric.meaning.endswith(".") for metric in listed)
        assert len({metric.name for metric in listed}) == len(listed) > least


def test_a_metric_without_a_unit_is_refused() -> None:
    registry = CollectorRegistry()
    Gauge("ouzel_things", "Text.", registry=registry)
    BulkHistogram("ouzel_wait_seconds", "Text.", (1.0,), registry)
    Histogram("ouzel_wait_bytes", "Text.", ["who"], registry=registry)
    things, *waits = metrics(registry)
    assert [(wait.kind, unit(wait, {})) for wait in waits] == [("histogram", "seconds"), ("histogram", "bytes")]
    assert unit(things, {"ouzel_things": "things"}) == "things"
    with pytest.raises(LookupError, match="ouzel_things"):
        unit(things, {})
