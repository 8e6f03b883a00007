"""Prints what a command has to say. Everything is escaped by `streams.printable`.

Records, files, servers and settings cannot reach the terminal in another way: no other module of
the commands prints, which a test checks.
"""

from __future__ import annotations

import io
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable
from types import TracebackType

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from streams.printable import printable, printable_lines


def say(*lines: str, err: bool = False) -> None:
    """Print lines to standard output, or to standard error if ``err`` is true.

    A newline inside a line is escaped, because it comes from a value.
    """
    for line in lines:
        print(printable(line), file=sys.stderr if err else sys.stdout, flush=True)


def confirm(question: str) -> None:
    """Ask a question whose answer is yes or no. Raises `typer.Abort` unless it is yes."""
    typer.confirm(printable(question), abort=True)


def terminal(*, err: bool = False) -> Console:
    """Return the console of standard output, or of standard error if ``err`` is true."""
    return PrintableConsole(stderr=err, markup=False, emoji=False)


class PrintableConsole(Console):
    """A console that escapes what is printed, and keeps only the escape sequences of its styles.

    Escape the values before a table is laid out, too: an escaped value is wider.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render to segments of text. Those of rich's own control codes are kept."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)


def escape_everywhere() -> None:
    """Make the streams of this process print any text, and Python escape what it reports itself.

    A terminal may lack a letter of a name, and no encoding has a lone surrogate.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = _say_thread_failed
    warnings.formatwarning = _warning


def say_traceback(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Print the traceback of a bug to standard error, as a hook of Python's."""
    sys.stderr.write(printable_lines("".join(traceback.format_exception(kind, error, trace))))


def _say_thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is not SystemExit:
        say_traceback(failed.exc_type, failed.exc_value, failed.exc_traceback)


def _warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    return f"{printable(f'{filename}:{lineno}: {category.__name__}: {message}')}\n"
