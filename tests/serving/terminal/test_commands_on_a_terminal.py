"""Nothing that comes from outside controls the terminal, whatever command prints it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from kafka.errors import KafkaError
from support.inputs.poisoned import recommendation
from support.processes.pty_output import ENCODABLE, ENCODINGS, FILE, POISON, on_a_terminal, run

from serving.cli import main
from serving.commands import dead_letters, evaluate
from streams.errors import OuzelError
from streams.settings import Settings

COMMANDS: list[list[str]] = [
    ["dead-letters", "list"],
    ["dead-letters", "list", "--json"],
    ["dead-letters", "show", "0:7"],
    ["dead-letters", "show", "0:7", "--json"],
    ["dead-letters", "show", POISON],
    ["dead-letters", "redrive", "--letter", POISON],
    ["dead-letters", "redrive", "--yes"],
    ["watch", "--count", "1"],
    ["watch", "--count", "1", "--json"],
    ["model", "inspect"],
    ["model", "inspect", "--json"],
    ["model", "inspect", FILE],
    ["model", "inspect", f"none{POISON}"],
    ["model", "import", FILE],
    ["model", "export", "x.safetensors"],
    ["topics", "describe"],
    ["topics", "describe", "--json"],
    ["topics", "check"],
    ["topics", "check", "--json"],
    ["topics", "grow", "--partitions", "9", "--yes"],
    ["keys", "list"],
    ["keys", "list", "--json"],
    ["keys", "revoke", POISON],
    ["keys", "revoke", "other"],
    ["keys", "create", "--scope", POISON],
    ["keys", "create", "--scope", "read", "--name", POISON],
    ["config"],
    ["config", "--json"],
    ["replay", FILE],
    ["replay", "rows.jsonl"],
    ["replay", "types.csv"],
    ["train", "rows.jsonl", "--columns", POISON],
    ["replay", "rows.jsonl", "--separator", POISON],
    ["replay", "rows.jsonl", "--encoding", POISON],
    ["replay", "rows.jsonl", "--speed", POISON],
    ["replay", "rows.jsonl", "--time-format", POISON],
    ["evaluate", "rows.jsonl", "--method", POISON],
    ["evaluate", "rows.jsonl", "--drift", POISON],
    ["evaluate", POISON],
    ["watch", POISON, "--broker", POISON],
    ["demo", "--data", POISON],
    ["demo", "--broker", POISON],
    ["reset", "--broker", POISON],
    ["simulate", "--rate", POISON],
    ["simulate", f"--{POISON}"],
    [POISON],
]


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:30].encode("unicode_escape").decode())
def test_what_a_command_prints_never_controls_the_terminal(words: list[str], encoding: str) -> None:
    code, screen = run(*words, encoding=encoding)
    screen.assert_harmless()
    assert screen.text.strip(), "it says something"
    assert "Traceback" not in screen.text
    assert code in (0, 1, 2)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("words", [["dead-letters", "list"], ["model", "inspect"], ["keys", "list"], ["config"]], ids=" ".join)
def test_a_narrow_terminal_gets_no_control_either(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, screen = run(*words)
    screen.assert_harmless()
    assert code == 0


@pytest.mark.usefixtures("poisoned")
def test_the_values_are_shown_escaped_and_with_their_markup() -> None:
    shown = run("dead-letters", "show", "0:7")[1].text
    assert r"detail: a[/red][bold]:smile:\x1b]52;c;cHdu\x07\x1b[2J" in shown
    assert r"\x9d0;title\x9c\x7f\u202e\u2066\u200b\u061c\r\n\touzel: forged" in shown
    assert "[/red][bold]:smile:" in run("topics", "describe")[1].text
    assert "[/red][bold]:smile:" in run("watch", "--count", "1")[1].text


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_on_a_terminal_is_valid_and_has_the_values_unchanged(encoding: str) -> None:
    _, screen = run("watch", "--count", "1", "--json", encoding=encoding)
    assert json.loads(screen.text) == json.loads(msgspec.json.encode(recommendation()))
    _, screen = run("keys", "list", "--json", encoding=encoding)
    assert json.loads(screen.text)[0]["name"] == ENCODABLE


@pytest.mark.usefixtures("poisoned")
def test_a_message_of_several_lines_keeps_its_lines() -> None:
    shown = run("topics", "check")[1].text.splitlines()
    assert [line[:12] for line in shown[-2:]] == ["ouzel: one a", "two a[/red]["]


@pytest.mark.parametrize("error", [OuzelError(POISON), KafkaError(POISON)], ids=["ours", "of Kafka's client"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_that_quotes_a_value_is_escaped(monkeypatch: pytest.MonkeyPatch, error: Exception, encoding: str) -> None:
    def fail(settings: Settings) -> None:
        raise error

    monkeypatch.setattr(dead_letters, "read", fail)
    code, screen = run("dead-letters", "list", encoding=encoding)
    screen.assert_harmless()
    assert (code, screen.text.count("\n")) == (1, 1)
    assert r"\x1b]52;c;cHdu\x07\x1b[2J" in screen.text


def test_the_traceback_of_a_bug_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settings: Settings) -> None:
        raise ValueError(POISON)

    monkeypatch.setattr(dead_letters, "read", fail)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with on_a_terminal() as screen, pytest.raises(ValueError, match="smile") as bug:
        main(["dead-letters", "list"])
    with on_a_terminal() as screen:
        sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.excepthook(bug.type, bug.value, bug.tb)
    assert r"ValueError: a[/red][bold]:smile:\x1b]52;c;cHdu\x07\x1b[2J" in screen.text
    assert "\x1b" not in screen.text


def test_a_question_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_DATA_DIR", ENCODABLE)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, screen = run("reset")
    screen.assert_harmless()
    assert code == 1
    assert "Delete the data directory a[/red][bold]" in screen.text


@pytest.mark.slow
def test_a_process_in_the_locale_c_prints_what_its_terminal_lacks_as_escapes(folder: Path) -> None:
    name = b"caf\xe9\xe5\x95\x86\x1b]0;x\x07.csv"  # the first letter is no UTF-8
    environment = os.environ | {
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"serving.cli", b"replay", name], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr == rb"ouzel: no file caf\udce9\u5546\x1b]0;x\x07.csv, and no folder of that name" + b"\n"


@pytest.mark.slow
def test_a_file_whose_name_is_not_utf_8_is_evaluated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name goes to the process of the method, to the terminal, to JSON and to HTML."""
    monkeypatch.setattr(evaluate, "gigaflops", lambda: 50.0)
    rows = "".join(f"{n // 2}\t{1_700_000_000 + n}\t{'ab'[n % 2]}\n" for n in range(8))
    (folder / f"{FILE}.txt").write_text(f"session_id\ttimestamp\titem_id\n{rows}")
    code, screen = run("evaluate", f"{FILE}.txt", "--method", "popularity", "--json", "out.json", "--report", "report")
    screen.assert_harmless()
    assert code == 0, screen.text
    assert r"\udce9\r\n\touzel:forged.txt:8events" in "".join(screen.text.split()), "the title may be wrapped"
    assert json.loads((folder / "out.json").read_text())["dataset"] == f"{FILE}.txt"
    report = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert 'title="Invisible character U+DCE9"' in report
    assert not re.search("[\x1b\x07\x9b\u202e]", report)
