"""Prometheus rules with shorter windows and `for`s, for tests; thresholds stay."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import yaml

WINDOW = re.compile(r"(?<=\[)\w+(?=\])")


def shortened(path: Path, by: int, folder: Path) -> Path:
    """Write a copy of a rules file with its durations divided ``by`` a number; return its path.

    A duration is a whole number of seconds, and at least one.
    """

    def shorter(duration: str) -> str:
        seconds = promql_parser.parse_duration(duration).total_seconds() / by
        return f"{max(round(seconds), 1)}s"

    content = yaml.safe_load(path.read_text())
    for group in content["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule["expr"] = WINDOW.sub(lambda window: shorter(window.group()), rule["expr"])
            if "for" in rule:
                rule["for"] = shorter(rule["for"])
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(content))
    return copy
