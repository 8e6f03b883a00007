"""The dashboards: made by the code, of Grafana's shapes, and asking for nothing that does not exist."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from support.expressions import (
    BOARDS,
    OF_PROMETHEUS,
    PanelQuery,
    declared,
    panels,
    queries_of_panels,
    rules,
    selectors,
    with_variables,
)

from deploy.grafana.__main__ import files
from streams.observing.metrics import LABELS

SCHEMA = jsonschema.Draft7Validator(json.loads((Path(__file__).parent / "grafana" / "schema.json").read_text()))
ADDED = {"job", "instance", "le", "domain", "alertname", "alertstate", "severity", "method", "k"}
"""Labels that Prometheus, a histogram or the rules bring."""
WIDTH = 24


@pytest.fixture(params=BOARDS, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each committed dashboard."""
    found: dict[str, Any] = json.loads(request.param.read_text())
    return found


def test_the_committed_dashboards_are_those_of_the_code() -> None:
    made = files()
    assert sorted(made) == BOARDS
    for path, text in made.items():
        assert path.read_text() == text, f"{path.name} is not what the code makes: run `make dashboards`"


def test_a_dashboard_is_of_grafanas_schema(board: dict[str, Any]) -> None:
    SCHEMA.validate(board)


@pytest.mark.parametrize(
    "damage",
    [
        lambda panel: panel["options"].update(legnd={}),
        lambda panel: panel["fieldConfig"]["defaults"]["color"].update(mode="pallette"),
        lambda panel: panel["fieldConfig"]["defaults"]["custom"].update(lineWidth="2"),
        lambda panel: panel.update(type="graph"),
        lambda panel: panel["targets"][0].pop("refId"),
        lambda panel: panel["gridPos"].pop("w"),
    ],
)
def test_the_schema_finds_what_is_wrong(damage: Callable[[dict[str, Any]], None]) -> None:
    board = copy.deepcopy(json.loads(BOARDS[0].read_text()))
    damage(next(panel for panel in panels(board) if panel["type"] == "timeseries"))
    assert not SCHEMA.is_valid(board)


def test_grafanas_own_types_read_it_and_write_the_same(board: dict[str, Any]) -> None:
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert again == board


def test_a_panel_says_what_it_shows_and_in_which_unit(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"]
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "heatmap":
            assert panel["options"]["yAxis"]["unit"]
        elif panel["type"] == "state-timeline":
            assert defaults["mappings"]
        else:
            assert defaults["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]


def test_panels_fill_the_grid_without_overlapping(board: dict[str, Any]) -> None:
    every = [*board["panels"], *(panel for row in board["panels"] if row["type"] == "row" for panel in row["panels"])]
    assert len({panel["id"] for panel in every}) == len(every)
    cells: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        mine = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & mine, panel["title"]
        cells |= mine
    bottom = max(y for _, y in cells) + 1
    assert len(cells) == WIDTH * bottom, "there are holes"


def test_dashboards_lead_to_each_other_with_what_is_picked(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert link["type"] == "dashboards"
    assert set(link["tags"]) <= set(board["tags"])
    assert link["includeVars"]
    assert link["keepTime"]
    variables = board["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "domain", "job", "instance"]
    for earlier, later in pairwise(variables[1:]):
        assert f'{earlier["name"]}=~"${earlier["name"]}"' in later["definition"]
    assert [mark["name"] for mark in board["annotations"]["list"]] == ["Rebalances", "Rollbacks", "Drift"]


def asked_by_marks() -> list[PanelQuery]:
    """What the annotations ask."""
    marks = json.loads(BOARDS[0].read_text())["annotations"]["list"]
    return [PanelQuery("every board", "annotations", mark["name"], mark["target"]["expr"]) for mark in marks]


def test_every_expression_reads_series_that_exist_by_labels_that_they_have() -> None:
    known = declared()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    by_rules = [PanelQuery("rules", rule.get("record", rule.get("alert", "")), "", rule["expr"]) for rule in rules()]
    for asked in queries_of_panels() + asked_by_marks() + by_rules:
        for selector in selectors(with_variables(asked.expression)):
            name = selector.name
            exists = name in known or name in recorded or OF_PROMETHEUS.fullmatch(name)
            assert exists, f"{asked}: there is no {name}"
            for matcher in selector.matchers.matchers:
                assert matcher.name in ADDED | known.get(name, set()), f"{asked}: {name} has no label {matcher.name}"
                values = LABELS.get(matcher.name)
                if isinstance(values, tuple) and "serve" not in name and str(matcher.op).endswith("Equal"):
                    assert matcher.value in values, f"{asked}: {matcher.name} is never {matcher.value}"
