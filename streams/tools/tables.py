"""Reads the rows of a table: CSV, tabs or any other separator, with or without a header."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

from streams.events.bounds import BadRecord
from streams.tools.text import FileError

SEPARATORS = ("\t", "::", ";", ",", "|")
WORDS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
"""Names of separators that are hard to type."""
SHOWN = 120
"""Maximum number of characters of a line in an error."""


class Layout(NamedTuple):
    """How tables are written.

    ``columns`` are the column of each field, by name or by position from 0. If ``separator`` is
    ``None``, the first line decides. Without a ``header``, columns have positions only.
    """

    columns: Mapping[str, str] = {}
    separator: str | None = None
    header: bool = True
    encoding: str = "utf-8"


class Table(NamedTuple):
    """The names of a table's columns, and its rows with the number of their line.

    A row has the cells that are not empty by name, or is the problem with it. ``first`` is the
    file's first line, shortened.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str] | BadRecord]]
    first: str


def table(path: Path, stream: TextIO, layout: Layout) -> Table:
    """Read a table. Raises `FileError` if it is empty, or has no column of a name in the layout."""
    first = next((line for line in stream if line.strip()), "")
    if not first.strip():
        raise FileError(f"{path.name}: it is empty")
    shown = first.strip()[:SHOWN]
    separator = WORDS.get(layout.separator or "", layout.separator) or _separator(first)
    lines = _split(itertools.chain([first], stream), separator)
    by_position = bool(layout.columns) and all(column.isdigit() for column in layout.columns.values())
    if layout.header and not by_position:
        _, header = next(lines)
        if isinstance(header, BadRecord):
            raise FileError(f"{path.name}: its header cannot be read: {header.detail}")
        names = [name.strip() for name in header]
    else:
        names = [str(position) for position in range(_width(first, separator) + 1)]
    fields = dict(layout.columns) or {name: name for name in names}
    if missing := sorted(set(fields.values()) - set(names)):
        raise FileError(
            f"{path.name}: no column {missing[0]}; it has {', '.join(names)}. Name them with --columns item_id=...,..."
        )
    places = {ours: names.index(theirs) for ours, theirs in fields.items()}
    return Table(tuple(places), _rows(lines, places), shown)


def _separator(line: str) -> str:
    """Return the separator that splits the line into most cells; tabs if it is a draw."""
    return max(SEPARATORS, key=lambda separator: _width(line, separator))


def _width(line: str, separator: str) -> int:
    return line.count(separator)


def _rows(
    lines: Iterator[tuple[int, list[str] | BadRecord]], places: Mapping[str, int]
) -> Iterator[tuple[int, dict[str, str] | BadRecord]]:
    for number, cells in lines:
        if isinstance(cells, BadRecord):
            yield number, cells
        elif cells:
            yield number, {name: cells[at] for name, at in places.items() if at < len(cells) and cells[at].strip()}


def _split(lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Yield the cells of each row with the number of its line.

    Only commas and semicolons are quoted, as in CSV. A cell that begins with a quote mark in a file
    with tabs has no partner more often than not, and would swallow the lines up to the next one.
    """
    if separator not in (",", ";"):
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            yield number, text.split(separator) if text.strip() else []
        return
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        began = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            until = reader.line_num
            where = f"lines {began} to {until}" if until > began else f"line {began}"
            yield began, BadRecord("wrong_type", f"{where}: a quote mark has no partner, or another cell follows it: {error}")
            continue
        yield began, cells
