"""The commands without a broker: every option is explained, and a wrong value is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.cli import build
from serving.commands import dead_letters
from serving.commands.dead_letters import described
from serving.commands.replay import _save, _sent_before
from serving.errors import CliError
from serving.recorded import parse_columns
from streams.errors import OuzelError, Refused
from streams.settings import Settings
from streams.wire.record import Record

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
        (["replay", "clicks.txt", "--encoding", "undefined"], Refused, "--encoding: there is no encoding undefined"),
        (["replay", "clicks.txt", "--time-format", "%Y%Y"], Refused, "time_format: Python's strptime reads no times"),
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


@pytest.mark.parametrize(
    "content", ['{"sent": 1e999}', '{"sent": -5}', '{"sent": true}', '{"sent": 1.5}', "[" * 100_000, "[]", "\x00"]
)
def test_a_damaged_mark_of_a_replay_is_one_line(content: str, folder: Path) -> None:
    (folder / "mark.json").write_text(content)
    with pytest.raises(Refused, match="does not say where the last replay stopped"):
        _sent_before(folder / "mark.json")


def test_a_mark_of_a_replay_is_read_back(folder: Path) -> None:
    _save(folder / "new" / "mark.json", 7)
    assert (folder / "new" / "mark.json").read_text() == '{"sent":7}'
    assert _sent_before(folder / "new" / "mark.json") == 7


def test_a_letter_whose_numbers_are_no_numbers_is_described() -> None:
    headers = (("partition", b"9" * 5000), ("offset", "²".encode()))
    letter = described(Record("dead-letters", 0, 7, 0, b"k", b"v", headers), set())
    assert (letter["partition"], letter["offset"]) == ("9" * 5000, "²")


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "clicks.txt", "--rate", "nan"],
        ["simulate", "--rate", "nan"],
        ["simulate", "--shift-at", "nan", "--events", "5"],
        ["demo", "--rate", "nan"],
        ["evaluate", "clicks.txt", "--session-gap-s", "nan"],
        ["evaluate", "clicks.txt", "--session-gap-s", "inf"],
        ["evaluate", "clicks.txt", "--seed", str(2**64)],
    ],
    ids=" ".join,
)
def test_a_number_that_no_clock_or_generator_can_use_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(build(), arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)


class Writing:
    """A consumer of a topic to which a letter is written before each poll."""

    def __init__(self) -> None:
        self._at, self._end = 0, 3

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def assign(self, partitions: object) -> None: ...

    def seek_to_beginning(self, *partitions: object) -> None: ...

    def close(self) -> None: ...

    def end_offsets(self, partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._end)

    def position(self, partition: object) -> int:
        return self._at

    def poll(self, timeout_ms: int) -> dict[Any, list[Record]]:
        self._at, self._end = self._at + 1, self._end + 1
        assert self._at < 100, "it reads for ever"
        return {0: [Record("dead-letters", 0, self._at - 1, 0, b"k", b"v", ())]}


def test_letters_are_listed_while_workers_write_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "kafka_consumer", lambda *_, **__: Writing())
    assert [record.offset for record in dead_letters.read(Settings())] == [0, 1, 2]


def test_a_terminal_that_lacks_a_letter_gets_its_escape() -> None:
    """A name of an item must not end `ouzel watch`."""
    settings = {"OUZEL_FIELD_MAPPING": '{"item_id": "商品"}', "PYTHONIOENCODING": "latin-1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "serving.cli", "config"], capture_output=True, env=os.environ | settings, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u5546\u54c1" in done.stdout
