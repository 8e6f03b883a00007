"""The same fault is the same exit code and one line of plain English, in every command."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from serving.cli import build, main

CLICKS = "session_id\ttimestamp\titem_id\n1\t1700000000\ta\n1\t1700000001\tb\n"
TYPES = "session_id\ttimestamp\titem_id\tevent_type\n1\t1700000000\ta\tloan\n"
FILES: dict[str, bytes] = {
    "clicks.txt": CLICKS.encode(),
    "latin.csv": "user_id,timestamp,item_id\nj\xf6rg,1700000000,a\n".encode("latin-1"),
    "empty.csv": b"",
    "empty.jsonl": b"\n",
    "header.csv": b"user_id,timestamp,item_id\n",
    "types.txt": TYPES.encode(),
    "other.jsonl": b'{"what": 1}\n',
    "damaged.gz": b"\x1f\x8b\x08\x00nonsense",
}
UNREADABLE = "/proc/self/mem"  # the user root may read every other file


def commands(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[str]]:
    """The options of each command, by the words that call it."""
    inner = getattr(command, "commands", {})
    if not inner:
        return {path: [option for parameter in command.params for option in parameter.opts]}
    return {name: options for one, of in inner.items() for name, options in commands(of, (*path, one)).items()}


EVERY = commands(typer.main.get_command(build()))
ARGUMENTS = {
    ("replay",): ["clicks.txt"],
    ("evaluate",): ["clicks.txt"],
    ("train",): ["clicks.txt"],
    ("simulate",): ["--events", "1"],
    ("dead-letters", "show"): ["0:0"],
    ("dead-letters", "redrive"): ["--yes"],
    ("reset",): ["--yes"],
    ("topics", "grow"): ["--partitions", "9", "--yes"],
    ("model", "export"): ["out.safetensors"],
    ("model", "import"): ["model.safetensors"],
    ("keys", "create"): ["--scope", "read"],
    ("keys", "revoke"): ["x"],
    ("demo",): ["--events", "1", "--no-browser"],
}
"""What each command needs to get as far as the fault."""
ON_BROKER = [path for path, options in EVERY.items() if "--broker" in options and path != ("model", "import")]
READERS = [("replay",), ("evaluate",), ("train",)]
Ended = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of each kind, which is the working directory."""
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUZEL_MODEL", "popularity")
    monkeypatch.setenv("OUZEL_INTAKE", '[{"topic": "clicks"}]')
    monkeypatch.setenv("OUZEL_TRAINER", "separate")
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 300)
    return tmp_path


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Runs `ouzel` to its end: returns the exit code and the one line."""
    # a handler of logs would outlive the standard error that is captured here
    for module in ("streams.observing.logs", "serving.commands.worker", "serving.commands.intake"):
        monkeypatch.setattr(f"{module}.set_up", lambda settings: None)
    monkeypatch.setattr("logging.root.handlers", [logging.NullHandler()])

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        printed = capsys.readouterr().err
        lines = [line for line in printed.splitlines() if not line.startswith("{")]  # log lines of a worker
        assert len(lines) == 1, printed
        assert lines[0].startswith("ouzel: ")
        assert not re.search(r"Traceback|\w(Error|Exception)\b|NoneType|<class", lines[0]), lines[0]
        return int(left.value.code or 0), lines[0]

    return run


WITHOUT_EVENTS: list[tuple[list[str], str]] = [
    (["nowhere.txt"], "no file nowhere.txt"),
    (["x" * 300], "File name too long"),
    (["folder"], "no files to read: the folders have none that end in .txt, "),
    ([UNREADABLE], f"{UNREADABLE}: "),
    (["latin.csv"], "latin.csv: it is not utf-8: "),
    (["latin.csv", "--encoding", "klingon"], "--encoding: there is no encoding klingon; examples are utf-8"),
    (["latin.csv", "--encoding", "hex"], "--encoding: there is no encoding hex"),
    (["empty.csv"], "empty.csv: it is empty"),
    (["empty.jsonl"], "empty.jsonl: it is empty"),
    (["damaged.gz"], "damaged.gz: it cannot be decompressed"),
    (["header.csv"], "0 of 0 lines were events"),
    (["other.jsonl"], "other.jsonl:1: missing_field: item_id. Name the columns with --columns item_id=..."),
    (["types.txt"], "event_type is 'loan': write one of view, click, like, add_to_cart, purchase, "),
    (["clicks.txt", "--columns", "user_id=sku"], "clicks.txt: no column sku; it has session_id, timestamp, item_id. "),
    (["clicks.txt", "--time-unit", "weeks"], "--time-unit: 'weeks' is not one of s, ms, us, ns, days, auto"),
]
"""Words after a command that reads events, and what its line must contain."""
NOTHING = ("empty.csv", "empty.jsonl", "header.csv", "other.jsonl", "types.txt")
"""The files that can be read and have no event; the exit code for the others is 2."""
IN_A_PROCESS = ("nowhere.txt", "folder", "types.txt", UNREADABLE)
"""The files that `evaluate` is tried on: the process that it starts takes seconds."""


@pytest.mark.parametrize(
    ("path", "words", "message"),
    [
        pytest.param(path, words, message, id=f"{path[0]} {' '.join(words)[:40]}")
        for path in READERS
        for words, message in WITHOUT_EVENTS
        if path != ("evaluate",) or words[0] in IN_A_PROCESS
    ],
)
def test_a_file_without_usable_events(ended: Ended, path: tuple[str, ...], words: list[str], message: str) -> None:
    code, line = ended(*path, *words)
    assert code == (1 if words[0] in NOTHING else 2)
    assert message in line


@pytest.mark.parametrize("path", [("model", "import"), ("model", "inspect")], ids=" ".join)
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("nowhere", "nowhere: No such file or directory"),
        ("folder", "folder: Is a directory"),
        (UNREADABLE, f"{UNREADABLE}: "),
        ("empty.csv", "empty.csv is not a usable model file: not a model snapshot"),
        ("clicks.txt", "clicks.txt is not a usable model file: not a model snapshot"),
    ],
)
def test_a_file_without_a_model(ended: Ended, path: tuple[str, ...], file: str, message: str) -> None:
    code, line = ended(*path, file)
    assert code == 2
    assert message in line


@pytest.mark.parametrize("path", ON_BROKER, ids=" ".join)
def test_no_broker(ended: Ended, path: tuple[str, ...]) -> None:
    code, line = ended(*path, *ARGUMENTS.get(path, []), "--broker", "127.0.0.1:1")
    assert code == 1
    assert line.startswith("ouzel: no broker answers at 127.0.0.1:1: connection refused")


@pytest.mark.parametrize("path", ON_BROKER, ids=" ".join)
def test_a_wrong_address_of_a_broker(ended: Ended, path: tuple[str, ...]) -> None:
    code, line = ended(*path, *ARGUMENTS.get(path, []), "--broker", "kafka")
    assert code == 2
    assert line == "ouzel: --broker: 'kafka' is not host:port; an example is --broker localhost:9092"


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_a_wrong_setting(ended: Ended, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    monkeypatch.setenv("OUZEL_PARTITIONS", "many")
    broker = ["--broker", "127.0.0.1:1"] if path == ("demo",) else []  # no broker is started for it
    code, line = ended(*path, *ARGUMENTS.get(path, []), *broker)
    assert code == 2
    allowed = "whole number of partitions, 1 to 1000"
    assert line == f"ouzel: partitions: 'many' is not valid. Allowed: {allowed}. Correct OUZEL_PARTITIONS."


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_an_unknown_option(ended: Ended, path: tuple[str, ...]) -> None:
    code, line = ended(*path, "--colour")
    assert code == 2
    assert line.startswith("ouzel: no such option: --colour")
    assert line.endswith(f"; `ouzel {' '.join(path)} --help` lists what is allowed")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["topics", "grow", "--partitions", "x"], "--partitions: 'x' is not a whole number; "),
        (["topics", "grow", "--partitions", "0"], "--partitions: '0' is not from 1 to 1,000; "),
        (["topics", "grow"], "--partitions: it is missing; "),
        (["replay"], "FILE: it is missing; `ouzel replay --help` lists what is allowed"),
        (["simulate", "--rate", "fast"], "--rate: 'fast' is not a number; "),
        (["simulate", "--rate", "-1"], "--rate: '-1' is not at least 0; "),
        (["watch", "--count", "0"], "--count: '0' is not at least 1; "),
        (["demo", "--page-port", "70000"], "--page-port: '70000' is not from 1 to 65,535; "),
        (["evaluate", "clicks.txt", "--limit", "some"], "--limit: 'some' is not a whole number; "),
        (["evaluate", "clicks.txt", "--encoder", "bert"], "--encoder: bert is not an encoder; the encoders are gru, recency"),
        (["train", "clicks.txt", "--limit"], "option '--limit' requires an argument"),
        (["keys", "create", "--scope", "all"], "--scope: 'all' is not a scope; the scopes are read, events, admin"),
        (["topic"], "no such command 'topic'. Did you mean 'topics'? `ouzel --help` lists what is allowed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_of_an_option(ended: Ended, words: list[str], message: str) -> None:
    code, line = ended(*words)
    assert code == 2
    assert line.startswith(f"ouzel: {message}")
