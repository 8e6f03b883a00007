"""The Prometheus rules: they are valid, and every alert has unit tests and a runbook."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from support.expressions import DEPLOY, RULES, rules
from support.shortened import shortened

PROMETHEUS = DEPLOY / "prometheus"
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
OPERATIONS = DEPLOY.parent / "docs" / "operations.md"
ALERTS = [rule for rule in rules() if "alert" in rule]


def output(*command: str | Path) -> str:
    """Run a command that must succeed, and return its output."""
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_promtool_accepts_the_configuration_with_its_rules(promtool: Path) -> None:
    checked = output(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    assert f"{len(RULES)} rule files found" in checked


def test_promtool_accepts_the_rules_and_their_shortened_form(promtool: Path, tmp_path: Path) -> None:
    output(promtool, "check", "rules", *RULES, *(shortened(path, 30, tmp_path) for path in RULES))


def test_shortening_divides_every_window_and_nothing_else(tmp_path: Path) -> None:
    rule = {"alert": "A", "expr": "rate(x[5m]) > 60 and max_over_time(y[1h]) < 1", "for": "2m"}
    source = tmp_path / "one" / "rules.yml"
    source.parent.mkdir()
    source.write_text(yaml.safe_dump({"groups": [{"name": "g", "interval": "1m", "rules": [rule]}]}))
    ((made,),) = [group["rules"] for group in yaml.safe_load(shortened(source, 30, tmp_path).read_text())["groups"]]
    assert made == {"alert": "A", "expr": "rate(x[10s]) > 60 and max_over_time(y[120s]) < 1", "for": "4s"}


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_the_unit_tests_pass(promtool: Path, path: Path) -> None:
    assert "SUCCESS" in output(promtool, "test", "rules", path)


def test_every_alert_has_a_unit_test_that_fires_and_one_that_stays_silent() -> None:
    names = [case["name"] for path in UNIT_TESTS for case in yaml.safe_load(path.read_text())["tests"]]
    wanted = {f"{alert['alert']} {alert['labels']['severity']} {verb}" for alert in ALERTS for verb in ("fires", "stays silent")}
    tested = {match.group() for name in names if (match := re.match(r"\w+ \w+ (fires|stays silent)", name))}
    assert tested == wanted


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_an_alert_has_a_summary_a_description_and_a_runbook(alert: Mapping[str, Mapping[str, str]]) -> None:
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert all(notes[name].endswith(".") for name in ("summary", "description"))
    assert notes["runbook_url"] == f"docs/operations.md#{str(alert['alert']).lower()}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    text = OPERATIONS.read_text()
    runbooks = text[text.index("\n## Runbooks\n") :]
    sections = dict(re.findall(r"^### (Ouzel\w+)\n(.*?)(?=^###? |\Z)", runbooks, re.MULTILINE | re.DOTALL))
    assert set(sections) == {alert["alert"] for alert in ALERTS}
    for name, section in sections.items():
        for part in ("**Means.**", "**Confirm.**", "**Do.**"):
            assert part in section, f"{name} has no {part}"
