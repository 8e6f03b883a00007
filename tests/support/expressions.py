"""The PromQL expressions of dashboards and rules, and the metrics that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
OF_PROMETHEUS = re.compile(r"up|ALERTS|(process|python)_\w+")
"""Series of Prometheus itself, and those that its client library exports for every process."""
METRIC = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| [^|]* \| ([^|]*) \|", re.MULTILINE)


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel."""

    board: str
    panel: str
    legend: str
    expression: str

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.legend}"


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard, including those in folded rows, without the rows themselves."""
    for panel in board["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]


def queries_of_panels() -> list[PanelQuery]:
    """Every query of every panel."""
    return [
        PanelQuery(path.stem, panel["title"], target["legendFormat"], target["expr"])
        for path in BOARDS
        for panel in panels(json.loads(path.read_text()))
        for target in panel["targets"]
    ]


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def with_variables(expression: str, window: str = "5m", length: str = "1h") -> str:
    """An expression as Grafana sends it when everything is selected."""
    values = {"$__rate_interval": window, "$__range": length, "$job": ".+", "$instance": ".+", "$domain": ".+"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def selectors(expression: str) -> list[Any]:
    """The series that an expression reads. Raises `ValueError` if it is not valid PromQL."""
    selected: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selected.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return selected


def declared() -> dict[str, set[str]]:
    """The series that Ouzel exports, by name, with their labels, as docs/metrics.md lists them."""
    series: dict[str, set[str]] = {}
    for name, kind, labels in METRIC.findall((DEPLOY.parent / "docs" / "metrics.md").read_text()):
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            series.setdefault(name + suffix, set()).update(re.findall(r"`(\w+)`", labels))
    assert series, "docs/metrics.md has no tables of metrics"
    return series
