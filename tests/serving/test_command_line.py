"""What the commands share: the version, completion, the broker, JSON, and tables without cuts."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from models.snapshot import take
from serving.cli import build, main
from serving.key_file import new_key, write_keys
from serving.options import settings_with
from serving.outputs import STDOUT, JsonToFile, require_result_file, to_json
from serving.tables import print_table
from streams.errors import Refused
from streams.kafka.topics import TopicState, topic_specs
from streams.learning.model import new_model
from streams.settings import Settings

WITHOUT_BROKER = {"config", "keys create", "keys list", "keys revoke", "evaluate", "warmup", "train"}
WITH_JSON = {
    *("config", "keys list", "topics check", "topics describe", "dead-letters list", "dead-letters show", "model inspect"),
    *("watch", "evaluate", "demo"),
}


def commands(command: Any, path: str = "") -> dict[str, Any]:
    """The options of each command by the words that call it."""
    inner = getattr(command, "commands", {})
    if not inner:
        return {path: [option for parameter in command.params for option in parameter.opts]}
    return {name: options for one, of in inner.items() for name, options in commands(of, f"{path} {one}".strip()).items()}


EVERY = commands(typer.main.get_command(build()))


def test_the_version_is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr() == (f"ouzel {version('ouzel')}\n", "")


def test_every_command_that_uses_a_broker_takes_it_as_an_option() -> None:
    assert {name for name, options in EVERY.items() if "--broker" not in options} == WITHOUT_BROKER
    assert {name for name, options in EVERY.items() if "--json" in options} == WITH_JSON


def test_the_option_overrides_the_variable_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_BROKER", "nonsense")
    assert settings_with("a:1,b:2").broker == "a:1,b:2"
    with pytest.raises(Refused, match=r"--broker: 'b' is not host:port; an example is --broker localhost:9092"):
        settings_with("a:1,b")


def test_a_supervised_worker_uses_the_broker_of_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    for module in ("streams.observing.logs", "serving.commands.worker", "serving.commands.intake"):
        monkeypatch.setattr(f"{module}.set_up", lambda settings: None)
    monkeypatch.setattr("serving.commands.worker.supervised", lambda command: started.append(command) or 0)
    assert CliRunner().invoke(build(), ["worker", "--supervise", "--broker", "kafka:9"]).exit_code == 0
    assert started[0][-3:] == ["worker", "--broker", "kafka:9"]


@pytest.mark.slow
def test_completion_prints_a_script_that_completes_commands_and_options() -> None:
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shown = ["bash", "-c", f"{sys.executable} -m serving.cli --show-completion; true"]
    script = subprocess.run(shown, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert "complete -o default -F _ouzel_completion ouzel" in script.stdout, script.stderr
    asked = {"_OUZEL_COMPLETE": "complete_bash", "COMP_WORDS": "ouzel topics check --b", "COMP_CWORD": "3"}
    command = [sys.executable, "-m", "serving.cli"]
    answer = subprocess.run(command, env=env | asked, capture_output=True, text=True, check=False, timeout=60)
    assert answer.stdout.split() == ["--broker"], answer.stderr


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--json"], STDOUT),
        (["--json", "-"], STDOUT),
        (["--json", "out.json"], Path("out.json")),
        (["--json", "--rate", "3"], STDOUT),
        (["--rate", "3", "--json"], STDOUT),
        (["--json=out.json"], Path("out.json")),
        ([], None),
    ],
    ids=str,
)
def test_json_without_a_file_is_standard_output(words: list[str], value: Path | None) -> None:
    app, got = typer.Typer(), list[Path | None]()

    @app.command(cls=JsonToFile)
    def command(json: Path | None = None, rate: int = 0) -> None:
        got.append(json)

    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert got == [value]


def test_json_does_not_replace_the_events_that_a_command_was_meant_to_read(tmp_path: Path) -> None:
    events, result = tmp_path / "clicks.csv", tmp_path / "result.json"
    events.write_text("item_id,timestamp\n")
    result.write_text(to_json({"methods": {}}))
    require_result_file("--json", result)
    require_result_file("--json", tmp_path / "new.json")
    with pytest.raises(
        Refused, match=r"clicks\.csv is not a result in JSON, and is kept; name another file, or write --json last"
    ):
        require_result_file("--json", events)


def test_json_has_null_for_a_number_that_json_has_not() -> None:
    assert json.loads(to_json({"loss": float("nan"), "all": [1.5, float("inf")]})) == {"loss": None, "all": [1.5, None]}


def states(settings: Settings, missing: str) -> dict[str, TopicState | None]:
    specs = {spec.name: spec for spec in topic_specs(settings)}
    return {name: None if name == missing else TopicState(spec.partitions, spec.config) for name, spec in specs.items()}


def test_the_check_of_the_topics_is_one_document_and_keeps_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Settings().topic("items")
    monkeypatch.setattr("serving.commands.topics.describe_topics", lambda settings: states(settings, missing))
    result = CliRunner().invoke(build(), ["topics", "check", "--json"])
    assert isinstance(result.exception, Refused)
    document = json.loads(result.stdout)
    assert (document["as_needed"], len(document["problems"])) == (False, 1)
    assert document["problems"][0].startswith(f"topic {missing} is missing")
    described = json.loads(CliRunner().invoke(build(), ["topics", "describe", "--json"]).stdout)
    assert described[missing] is None
    assert described[Settings().topic("events")]["partitions"] == 4


def test_a_model_file_and_the_keys_are_described_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model(Settings(model="popularity"))
    (tmp_path / "model").write_bytes(take("popularity", model))
    described = json.loads(CliRunner().invoke(build(), ["model", "inspect", str(tmp_path / "model"), "--json"]).stdout)
    assert (described["model"], described["items"], described["position"]) == ("popularity", 0, {})
    monkeypatch.setenv("OUZEL_SERVE_KEYS", str(tmp_path / "keys.json"))
    write_keys(tmp_path / "keys.json", [new_key("page", ["read"], 0)[1]])
    (key,) = json.loads(CliRunner().invoke(build(), ["keys", "list", "--json"]).stdout)
    assert (key["name"], key["scopes"], key["created"]) == ("page", ["read"], "1970-01-01T00:00:00+00:00")


FIGURES = ("123,456,789", "0.1234 ±0.0056", "1,234.5")


@pytest.mark.parametrize("width", [40, 70, 200, None])
def test_no_figure_is_ever_cut(width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """``None`` is a pipe, for which COLUMNS is not set."""
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=width is not None, color_system=None)
    rows = [("a-method", *FIGURES, "refused: " + "words " * 30), ("b [red]", *FIGURES, "")]
    names = ("method", "events", "recall@20", "CPU s", "state")
    print_table(names, rows, console, numbers=names[1:4], title="600 events, 500 predictions", caption="speed 99 GFLOP/s")
    text = out.getvalue()
    assert "…" not in text
    for figure in FIGURES:
        assert text.count(figure) == 2
    assert text.count("words") == 30
    assert "[red]" in text
    if width is None:
        assert re.search(r"a-method .*123,456,789.*0\.1234 ±0\.0056.*1,234\.5.*refused", text), "one line for each row"
