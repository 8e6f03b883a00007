"""The reference of all metrics: `python -m serving.metrics_reference` writes docs/metrics.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from serving.state import telemetry
from serving.state.telemetry import ServingTelemetry
from streams.observing.metrics import LABELS, SECTIONS, UNITS

FILE = Path("docs/metrics.md")
SUFFIXES = {
    "_timestamp_seconds": "seconds since 1970",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "0 to 1",
    "_info": "1",
}
HEAD = """# Metrics

Made by `python -m serving.metrics_reference` from the code; do not edit. Beside these, each process tells the usual
`process_*` and `python_*` metrics of the Prometheus client. No series has a `_created` twin.
"""


class Metric(NamedTuple):
    """One metric, as a reader of a dashboard meets it: a counter with its `_total`."""

    name: str
    kind: str
    labels: Sequence[str]
    meaning: str


def metrics(registry: CollectorRegistry) -> Iterator[Metric]:
    """Ouzel's own metrics of a registry, in the order of their declaration."""
    for collector in dict.fromkeys(registry._collector_to_names):
        told: Any = collector
        if not hasattr(told, "_documentation"):
            continue  # the client library's own collectors
        kind = getattr(told, "_type", "histogram")
        suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
        labels = getattr(told, "_labelnames", ()) or tuple(getattr(told, "_value", ()) if kind == "info" else ())
        yield Metric(told._name + suffix, "gauge" if kind == "info" else kind, labels, told._documentation)


def unit(metric: Metric, units: Mapping[str, str]) -> str:
    """The unit of a metric's values. Raises ``LookupError`` where neither its name nor ``units`` tell it."""
    base = metric.name.removesuffix("_total")
    if base in units:
        return units[base]
    for suffix, found in SUFFIXES.items():
        if base.endswith(suffix):
            return found
    if metric.kind == "counter":
        return "count"
    raise LookupError(f"{metric.name} has no unit")


def table(registry: CollectorRegistry, units: Mapping[str, str]) -> str:
    """The rows of a registry."""
    lines = ["| name | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for metric in metrics(registry):
        told = ", ".join(f"`{name}`" for name in metric.labels)
        meaning = metric.meaning.replace("|", "\\|")
        lines.append(f"| `{metric.name}` | {metric.kind} | {unit(metric, units)} | {told} | {meaning} |")
    return "\n".join(lines) + "\n"


def legend(labels: Mapping[str, Sequence[str] | str]) -> str:
    """What values each label has."""
    rows = []
    for name, values in labels.items():
        told = values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
        rows.append(f"| `{name}` | {told} |\n")
    return "".join(["| label | values |\n|---|---|\n", *rows])


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## Worker\n"]
    for section in SECTIONS:
        registry = CollectorRegistry()
        section(registry)
        parts += [f"### {str(section.__doc__).strip().rstrip('.')}\n", table(registry, UNITS)]
    parts += ["### Labels\n", legend(LABELS)]
    parts += ["## Serve\n", table(ServingTelemetry().registry, telemetry.UNITS)]
    parts += ["### Labels of serve\n", legend(telemetry.LABELS)]
    return "\n".join(parts)


def main(file: Path = FILE) -> None:
    """Write it."""
    file.write_text(reference())


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
