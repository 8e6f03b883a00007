"""What commands write: JSON on standard output, and files, checked before the work."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from serving.terminal import say
from streams.errors import Refused

STDOUT = Path("-")
"""The file that ``--json`` names to print the result to standard output."""
_JSON = b"{\n"
"""The first bytes of a result in JSON."""


class JsonToFile(TyperCommand):
    """A command whose option ``--json`` has an optional value: without a file, it means `STDOUT`.

    An option is no file, so ``--json`` is without a file at the end and before another option.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the value that is left out."""
        end = args.index("--") if "--" in args else len(args)
        for at in reversed([at for at, word in enumerate(args[:end]) if word == "--json"]):
            if at + 1 == len(args) or (args[at + 1].startswith("-") and args[at + 1] != str(STDOUT)):
                args = [*args[: at + 1], str(STDOUT), *args[at + 1 :]]
        return super().parse_args(ctx, args)


def to_json(document: Any, indent: int | None = 1) -> str:
    """Return a JSON document for people and programs; without an indent, it is one line.

    A number that is not finite is null. Every character is of ASCII and none is a control, so any
    terminal shows it and none obeys it.
    """
    return json.dumps(_finite(document), indent=indent)


def print_json(document: Any) -> None:
    """Print one JSON document to standard output."""
    say(*to_json(document).split("\n"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require_result_file(option: str, path: Path) -> None:
    """Raise `Refused` if this file cannot be written, or is no earlier result but something else.

    ``--json clicks.csv`` would otherwise replace the events that it was meant to read.
    """
    require_writable(option, path)
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len(_JSON))
        if start not in (b"", _JSON):
            raise Refused(f"{option}: {path} is not a result in JSON, and is kept; name another file, or write {option} last")


def require_writable(option: str, path: Path) -> None:
    """Raise `Refused` if this file cannot be written. Creates its folder if that is missing.

    ``option`` is the name of the option or argument, for the message.
    """
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Refused(f"{option}: {path}: {error.strerror}; name a file in a folder that you may write to") from error
