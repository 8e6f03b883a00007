"""Nothing that comes from outside controls the terminal, whatever command prints it."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from kafka.errors import KafkaError
from rich.text import Text
from support.processes.pty_output import ENCODABLE, POISON, Screen, on_a_terminal

from serving.cli import main
from serving.commands import dead_letters, evaluate, model, topics, watch
from serving.demo import view
from serving.progress import progress_bar
from serving.tables import print_table
from serving.terminal import say, terminal
from streams.errors import OuzelError
from streams.events.catalogue import Catalogue
from streams.events.records import RankedItem, Recommendation
from streams.kafka.topics import TopicState
from streams.learning.model_log import Manifest, Stored
from streams.observing import logs
from streams.settings import Settings
from streams.wire.record import Record

ROOT = Path(__file__).parents[2]
ENCODINGS = ("utf-8", "ascii")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory. What `main` changes in the process is restored at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUZEL_MODEL", "popularity")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler())
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 300)
    structlog.reset_defaults()
    yield tmp_path
    structlog.reset_defaults()


def run(*words: str, encoding: str = "utf-8") -> tuple[int, Screen]:
    """Run a command on a terminal: returns the exit code and what the terminal got."""
    with on_a_terminal(encoding) as screen, pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), screen


def letter() -> Record:
    """A dead letter with poison in everything."""
    headers = tuple((name, ENCODABLE.encode()) for name in ("reason", "topic", "partition", "offset", "detail", ENCODABLE))
    return Record("dead-letters", 0, 7, 0, ENCODABLE.encode() + b"\xff\x9b", ENCODABLE.encode() + b"\xff\x9b", headers)


def recommendation() -> Recommendation:
    item = RankedItem(ENCODABLE, 0.5, 1, ENCODABLE, ENCODABLE)
    return Recommendation(
        recommendation_id=ENCODABLE, user_id=ENCODABLE, session_id=ENCODABLE, generated_at=1_790_000_000_000,
        trigger_event_id=ENCODABLE, trigger_offset=1, model_version=3, strategy=ENCODABLE, prefix=[ENCODABLE, "mug"],
        items=[item], took_ms=1.5,
    )  # fmt: skip


class Consumer(list[Any]):
    """A consumer that has polled everything already."""

    def close(self) -> None: ...


class Items(Catalogue):
    """A catalogue in which every title is poison."""

    def name(self, item_id: str) -> str:
        return ENCODABLE


def stored() -> Stored:
    """A snapshot whose chunks are missing."""
    manifest = Manifest(
        format=ENCODABLE, snapshot=ENCODABLE, chunks=1, bytes=1, sha256=ENCODABLE, transitions_offset=1, epoch=1, steps=1,
        created_at=1,
    )  # fmt: skip
    return Stored(manifest, {}, 0, 1)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Topics and files whose every text is poison."""
    refused = SimpleNamespace(offset=3, why=ENCODABLE)
    log = SimpleNamespace(refused=[refused], newest_first=lambda: [stored()])

    async def snapshots(settings: Settings) -> Any:
        return log

    monkeypatch.setattr(dead_letters, "read", lambda settings: [letter()])
    published = Record("recommendations", 0, 1, 0, b"u", msgspec.json.encode(recommendation()), ())
    monkeypatch.setattr(watch, "kafka_consumer", lambda *_, **__: Consumer([published]))
    monkeypatch.setattr(watch, "_catalogue", lambda settings: Items())
    monkeypatch.setattr(watch, "require_topics", lambda *_: None)
    monkeypatch.setattr(model, "require_topics", lambda *_: None)
    monkeypatch.setattr(model, "read_snapshot_log", snapshots)
    states = {
        name: TopicState(8, {"cleanup.policy": ENCODABLE, "retention.ms": ENCODABLE})
        for name in map(Settings().topic, ("events", "items", "model"))
    }
    monkeypatch.setattr(topics, "describe_topics", lambda settings: states | {f"x{ENCODABLE}": None})
    monkeypatch.setattr(topics, "topic_problems", lambda *_: [f"one {ENCODABLE}", f"two {ENCODABLE}"])
    monkeypatch.setattr(topics, "topic_specs", lambda *_: [])
    monkeypatch.setattr(topics, "losses", lambda *_: [ENCODABLE])
    monkeypatch.setattr(topics, "refuse_while_live", lambda *_: None)
    monkeypatch.setattr(topics, "grow_topics", lambda *_: {ENCODABLE: 3})
    key = {"id": ENCODABLE, "hash": "", "scopes": ["read"], "name": ENCODABLE, "created_at": 1}
    (folder / "keys.json").write_text(json.dumps({"version": 1, "keys": [key]}))
    (folder / FILE).write_text("nonsense")
    (folder / "rows.jsonl").write_text(
        json.dumps({ENCODABLE: ENCODABLE, "item_id": {ENCODABLE: 1}, "event_type": ENCODABLE}) + "\n"
    )
    (folder / "types.csv").write_text(f"session_id,timestamp,item_id,event_type\n1,1700000000,a,{ENCODABLE[:40].strip()}\n")
    monkeypatch.setenv("OUZEL_SERVE_KEYS", "keys.json")
    monkeypatch.setenv("OUZEL_DATA_DIR", f"data{POISON}")


FILE = POISON.replace("/", "")
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


def log_a_line() -> None:
    """Log poison in every place of a log line."""
    log = structlog.get_logger(f"fresh{time.monotonic_ns()}")
    try:
        raise ValueError(POISON)
    except ValueError:
        log.exception(POISON, text=POISON, inside=[POISON], other=Odd(), raw=POISON.encode(errors="replace"))
    logging.getLogger("kafka.test").warning("%s", POISON)


class Odd:
    """A value whose representation is poison."""

    def __repr__(self) -> str:
        return POISON


def at_work() -> None:
    """Log as a worker does."""
    for log_format in ("text", "json"):
        logs.set_up(Settings(log_format=log_format))  # type: ignore[arg-type]
        log_a_line()


def in_a_command() -> None:
    """Log as a command does that has no settings of logs."""
    logs.log_to_stderr()
    log_a_line()


@pytest.mark.parametrize("logging_of", [at_work, in_a_command], ids=lambda one: one.__name__)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_log_lines_are_escaped(logging_of: Callable[[], None], encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in logs.LIBRARIES:
        monkeypatch.setattr(logging.getLogger(name), "level", 0)
    with on_a_terminal(encoding) as screen:
        sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        logging_of()
    assert r"\x1b]52" in screen.text
    assert "ValueError" in screen.text
    assert not [line for line in screen.text.splitlines() if line.startswith("ouzel: forged")]
    assert "\x1b" not in screen.text
    assert b"\x1b[38;5;199m" not in screen.raw
    assert "\u202e" not in screen.text


def test_a_thread_that_fails_and_a_warning_are_escaped() -> None:
    def fail() -> None:
        raise ValueError(POISON)

    with on_a_terminal() as screen:
        with pytest.raises(SystemExit):
            main(["--version"])
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        sys.stderr.write(warnings.formatwarning(ENCODABLE, UserWarning, ENCODABLE, 3))
    assert screen.text.count(r"\x1b]52") >= 2
    assert "\x1b" not in screen.text


def moment() -> view.Moment:
    return view.Moment(ENCODABLE, ENCODABLE, 3.0, 5, None, 20.0, 1, 8.0, 9.0, 0.5, 0.1, ENCODABLE)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_view_of_the_demo_and_a_progress_bar_are_escaped(encoding: str) -> None:
    with on_a_terminal(encoding) as screen:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        terminal().print(view.panel(moment()))
        terminal().print(view.line(moment()), soft_wrap=True)
        terminal(err=True).print(Text(ENCODABLE.replace("\n", "")), f"{ENCODABLE.replace(chr(10), '')}")
        with progress_bar() as bar:
            list(bar.track(range(3), description="learning"))
    screen.assert_harmless()
    assert "learning" in screen.text


def test_a_table_has_the_markup_of_its_title_caption_and_cells_as_text() -> None:
    with on_a_terminal() as screen:
        print_table(("a", "b"), [("[/red]", ["[bold]", "[/x]"])], title="[/t].csv", caption="[/c]")
    assert all(text in screen.text for text in ("[/red]", "[bold]", "[/x]", "[/t].csv", "[/c]"))


def test_a_line_of_text_with_letters_of_any_script_is_unchanged() -> None:
    line = "Teekanne ü 商品 שלום مرحبا ไทย 😀 \N{NO-BREAK SPACE}~ \\x1b"
    with on_a_terminal() as screen:
        say(line)
    assert screen.text == f"{line}\r\n"


@pytest.mark.slow
def test_a_process_in_the_locale_c_prints_what_its_terminal_lacks_as_escapes(folder: Path) -> None:
    name = b"caf\xe9\xe5\x95\x86\x1b]0;x\x07.csv"  # the first letter is no UTF-8
    environment = os.environ | {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
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


PRINTERS = {
    "print", "input", "pprint", "echo", "secho", "prompt", "confirm", "Console", "StreamHandler", "PrintLogger", "print_exc",
    "basicConfig",
}  # fmt: skip
"""Functions and classes that write to a standard stream."""
ALLOWED = {
    "serving/terminal.py": {"print", "typer.confirm", "sys.stdout", "sys.stderr"},
    "streams/observing/logs.py": {"logging.StreamHandler", "structlog.PrintLogger", "sys.stderr"},
    "streams/engine/faust_app.py": {"sys.stderr"},
    "serving/evaluation/evaluating.py": {"sys.stdout"},
}
"""What each module that prints may use.

The logs and the last words of a worker are escaped where they are written. What `evaluating` writes
is JSON for its parent process.
"""
QUIET = ("flush", "isatty")
"""What any module may do with a standard stream."""


def printing(path: Path) -> set[str]:
    """Each use of a standard stream, and each call that prints, in a module."""
    tree = ast.parse(path.read_text())
    quiet = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in QUIET}
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr") and node not in quiet:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            *owner, name = called.split(".")
            if name in PRINTERS and not (name == "print" and owner) and called != "confirm":
                found.add(called)
            if called in ("sys.exit", "SystemExit") and any(isinstance(one, ast.JoinedStr | ast.BinOp) for one in node.args):
                found.add("sys.exit with a text")
        elif isinstance(node, ast.ImportFrom) and node.module in ("sys", "typer", "click", "rich", "rich.console"):
            found |= {f"import of {one.name}" for one in node.names if one.name in (*PRINTERS, "stdout", "stderr")} - CONSOLE
    return found


CONSOLE = {"import of Console"}
"""The type of a parameter is no console that is made."""


def test_no_module_goes_round_the_function_that_escapes() -> None:
    sources = [path for folder in ("serving", "streams", "models", "deploy") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): uses for path in sources if (uses := printing(path))}
    assert len(sources) > 200
    assert found == ALLOWED
