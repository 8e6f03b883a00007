"""The commands without a broker: every option is explained, and a wrong value is one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.cli import build
from serving.errors import CliError
from serving.recorded import parse_columns
from streams.errors import OuzelError, Refused

CLICKS = "SessionId\tTime\tItemId\n1\t1700000000\ta\n1\t1700000001\tb\n"
ROWS = "uid,sku,ts\nu,a,1700000000\nu,b,x\n"
COLUMNS = "user_id=uid,item_id=sku,timestamp=ts"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of each kind, which is the working directory."""
    (tmp_path / "clicks.txt").write_text(CLICKS)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "bad.safetensors").write_text("nonsense")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


EVERY = dict(commands(typer.main.get_command(build())))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_and_option_is_explained(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    assert (command.help or "").strip()
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []
    result = CliRunner().invoke(build(), [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["replay", "nowhere.txt"], Refused, "nowhere.txt"),
        (["replay", "empty"], Refused, "files"),
        (["replay", "rows.csv"], Refused, "--columns"),
        (["replay", "rows.csv", "--columns", "what"], Refused, "--columns: 'what' is not FIELD=COLUMN"),
        (["replay", "rows.csv", "--columns", COLUMNS, "--strict"], Refused, "left out 1: 1 wrong_type: rows.csv:3: "),
        (["replay", "clicks.txt", "--speed", "fast"], Refused, "--speed: 'fast' is neither max nor a number above 0"),
        (["replay", "clicks.txt", "--speed", "-1"], Refused, "--speed: '-1'"),
        (["replay", "clicks.txt", "--speed", "nan"], Refused, "--speed: 'nan'"),
        (["simulate", "--shift-at", "0.5"], Refused, "--events"),
        (["train", "nowhere.txt"], Refused, "nowhere.txt"),
        (["train", "clicks.txt", "--out", "rows.csv/model"], Refused, "--out: rows.csv/model: "),
        (["train", "clicks.txt", "--out", "empty"], Refused, "--out: empty: Is a directory"),
        (["model", "export", "rows.csv/model"], Refused, "FILE: rows.csv/model: "),
        (["evaluate", "clicks.txt", "--json", "rows.csv/x.json"], Refused, "--json: rows.csv/x.json: "),
        (["evaluate", "clicks.txt", "--report", "rows.csv"], Refused, "--report: rows.csv/index.html: "),
        (["train", "clicks.txt"], Refused, "OUZEL_MODEL: the model null learns nothing"),
        (["model", "inspect", "nowhere"], Refused, "nowhere: No such file or directory"),
        (["model", "inspect", "bad.safetensors"], Refused, "bad.safetensors is not a usable model file"),
        (["model", "import", "bad.safetensors"], Refused, "`ouzel model export` write such files"),
        (["model", "import", "empty"], Refused, "empty: Is a directory"),
        (["evaluate", "clicks.txt", "--test", "."], Refused, "--test: . is a folder of several files"),
        (["evaluate", "clicks.txt", "--method", ","], Refused, "--method: no method is named"),
        (["demo", "--data", "nowhere"], Refused, "--data: no such file or folder: nowhere"),
        (["demo", "--json", "nowhere/x.json"], Refused, "--json: there is no folder"),
        (["keys", "create", "--scope", "read"], CliError, "OUZEL_SERVE_KEYS: nowhere/keys.json"),
        (["keys", "list"], Refused, "there is no file nowhere/keys.json; `ouzel keys create` creates it"),
        (["keys", "revoke", "x"], Refused, "there is no file nowhere/keys.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_value_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type[OuzelError], message: str
) -> None:
    monkeypatch.setenv("OUZEL_MODEL", "null")
    monkeypatch.setenv("OUZEL_SERVE_KEYS", "nowhere/keys.json")
    with pytest.raises(kind) as caught:
        CliRunner().invoke(build(), arguments, catch_exceptions=False)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == (2 if kind is Refused else 1)


def test_columns_map_our_fields_to_the_users() -> None:
    assert parse_columns("") == {}
    assert parse_columns("item_id=sku, user_id = uid,") == {"item_id": "sku", "user_id": "uid"}
