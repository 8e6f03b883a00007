"""Writes docs/metrics.md, the reference of metrics, from the code. `make metrics` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from serving.state import telemetry
from serving.state.telemetry import ServingTelemetry
from streams.intake import telemetry as intake
from streams.intake.telemetry import IntakeTelemetry
from streams.observing.metrics import LABELS, SECTIONS, UNITS
from streams.training import telemetry as learner
from streams.training.telemetry import LearnerMetrics

FILE = Path("docs/metrics.md")
SUFFIXES = {
    "_timestamp_seconds": "seconds since 1970",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "0 to 1",
    "_info": "1",
}
HEAD = """# Metrics

`make metrics` writes this page from the code; do not edit it. Each process also has the usual
`process_*` and `python_*` metrics of the Prometheus client. There are no `_created` series.
"""


class Metric(NamedTuple):
    """One metric, named as in a query: a counter ends in `_total`."""

    name: str
    kind: str
    labels: Sequence[str]
    meaning: str


def metrics(registry: CollectorRegistry) -> Iterator[Metric]:
    """Return Ouzel's own metrics of a registry, in the order of their declaration."""
    collectors: Iterable[Any] = dict.fromkeys(registry._collector_to_names)
    for collector in collectors:
        if not hasattr(collector, "_documentation"):
            continue  # the client library's own collectors
        kind = getattr(collector, "_type", "histogram")
        suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
        labels = getattr(collector, "_labelnames", ()) or tuple(getattr(collector, "_value", ()) if kind == "info" else ())
        yield Metric(collector._name + suffix, "gauge" if kind == "info" else kind, labels, collector._documentation)


def unit(metric: Metric, units: Mapping[str, str]) -> str:
    """Return a metric's unit. Raises ``LookupError`` if neither its name nor ``units`` has it."""
    base = metric.name.removesuffix("_total")
    if base in units:
        return units[base]
    for suffix, of_suffix in SUFFIXES.items():
        if base.endswith(suffix):
            return of_suffix
    if metric.kind == "counter":
        return "count"
    raise LookupError(f"{metric.name} has no unit")


def table(registry: CollectorRegistry, units: Mapping[str, str]) -> str:
    """Write the metrics of a registry as a Markdown table."""
    lines = ["| name | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for metric in metrics(registry):
        labels = ", ".join(f"`{name}`" for name in metric.labels)
        meaning = metric.meaning.replace("|", "\\|")
        lines.append(f"| `{metric.name}` | {metric.kind} | {unit(metric, units)} | {labels} | {meaning} |")
    return "\n".join(lines) + "\n"


def legend(labels: Mapping[str, Sequence[str] | str]) -> str:
    """Write the values of each label as a Markdown table."""
    rows = []
    for name, values in labels.items():
        text = values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
        rows.append(f"| `{name}` | {text} |\n")
    return "".join(["| label | values |\n|---|---|\n", *rows])


def reference() -> str:
    """Write the whole page."""
    parts = [HEAD, "## Worker\n"]
    for section in SECTIONS:
        registry = CollectorRegistry()
        section(registry)
        parts += [f"### {str(section.__doc__).strip().rstrip('.')}\n", table(registry, UNITS)]
    parts += ["### Labels\n", legend(LABELS)]
    registry = CollectorRegistry()
    LearnerMetrics(registry)
    parts += ["## Learner\n", "It has the metrics of the model, above, and these:\n", table(registry, learner.UNITS)]
    parts += ["## Serve\n", table(ServingTelemetry().registry, telemetry.UNITS)]
    parts += ["### Labels of serve\n", legend(telemetry.LABELS)]
    parts += ["## Intake\n", table(IntakeTelemetry().registry, intake.UNITS)]
    parts += ["### Labels of the intake\n", legend(intake.LABELS)]
    return "\n".join(parts)


def main(file: Path = FILE) -> None:
    """Write the page to a file."""
    file.write_text(reference())


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
