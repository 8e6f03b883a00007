"""Logs, tracebacks, warnings, tables and the view of the demo never control the terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable

import pytest
import structlog
from rich.text import Text
from support.processes.pty_output import ENCODABLE, ENCODINGS, POISON, on_a_terminal

from serving.cli import main
from serving.demo import view
from serving.progress import progress_bar
from serving.tables import print_table
from serving.terminal import say, terminal
from streams.observing import logs
from streams.settings import Settings


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
    # What pytest captures goes into its report, which cannot hold surrogates.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
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
