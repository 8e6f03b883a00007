"""Reads the rows of a table: CSV, tabs or any other separator, with or without a header."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from streams.errors import NothingRead
from streams.events.bounds import BadRecord
from streams.tools.text import FileError

SEPARATORS = ("\t", "::", ";", ",", "|")
WORDS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
"""Names of separators that are hard to type."""
SHOWN = 120
"""Maximum number of characters of a line in an error."""
_EXCEL = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
"""A first line by which Excel names the separator."""
_RECBOLE = re.compile(r":(token|float)(_seq)?$")
"""The type of a column in the header of a file of RecBole."""


class Layout(NamedTuple):
    """How tables are written.

    ``columns`` are the column of each field, by name or by position from 0. Columns that they do
    not name are read under their own names, unless they name all that an event needs. If
    ``separator`` is ``None``, the first line decides. Without a ``header``, columns have positions
    only.
    """

    columns: Mapping[str, str] = {}
    separator: str | None = None
    header: bool = True
    encoding: str = "utf-8"


class Table(NamedTuple):
    """The names of a table's columns, and its rows with the number of their line.

    A row has the cells that are not empty by name, or is the problem with it. ``first`` is the
    file's first line, shortened. ``repeated`` are the names that several columns have.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str] | BadRecord]]
    first: str
    repeated: tuple[str, ...] = ()


def table(path: Path, stream: TextIO, layout: Layout) -> Table:
    """Read a table.

    Raises `NothingRead` if it is empty, and `FileError` if it lacks a column of the layout.
    """
    begin = list[str]()  # blank lines, so that lines keep their numbers, and the first other one
    first = _next(stream, begin)
    named = layout.separator
    if excel := _EXCEL.fullmatch(first):
        named = named or excel[1]
        begin[-1] = "\n"
        first = _next(stream, begin)
    if not first.strip():
        raise NothingRead(f"{path.name}: it is empty")
    shown = first.strip()[:SHOWN]
    separator = WORDS.get(named or "", named) or _separator(first)
    by_position = bool(layout.columns) and all(column.isdigit() for column in layout.columns.values())
    header = layout.header and not by_position
    lines = _split(itertools.chain(begin, stream), separator, quoted=header and _is_quoted(first, separator))
    repeated: list[str] = []
    if header:
        _, cells = next((number, cells) for number, cells in lines if cells)
        if isinstance(cells, BadRecord):
            raise FileError(f"{path.name}: its header cannot be read: {cells.detail}")
        names = [name.strip() for name in cells]
        repeated = [name for name, count in Counter(names).items() if count > 1]
    else:
        names = [str(position) for position in range(_width(first, separator) + 1)]
    fields = _fields(layout.columns, names)
    if missing := sorted(set(fields.values()) - set(names)):
        raise FileError(
            f"{path.name}: no column {missing[0]}; it has {', '.join(names)}. Name them with --columns item_id=...,..., "
            "and the separator with --separator if the line is not split right"
        )
    places = {ours: names.index(theirs) for ours, theirs in fields.items()}
    rows = _rows(lines, places, len(names) if header else None)
    return Table(tuple(places), rows, shown, tuple(ours for ours in fields if fields[ours] in repeated))


def _fields(columns: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the column of each field.

    If ``columns`` are all that an event needs, there are no others. Otherwise, other columns keep
    their names, which may be known.
    """
    if {"item_id", "timestamp"} <= columns.keys() and not columns.keys().isdisjoint(("user_id", "session_id")):
        return dict(columns)
    return {_RECBOLE.sub("", name): name for name in names if name not in columns.values()} | dict(columns)


def _next(stream: TextIO, read: list[str]) -> str:
    """Return the next line that is not blank, or an empty text. Append what is read to ``read``."""
    for line in stream:
        read.append(line)
        if line.strip():
            return line
    return ""


def _separator(line: str) -> str:
    """Return the separator that splits the line into most cells; tabs if it is a draw."""
    return max(SEPARATORS, key=lambda separator: _width(line, separator))


def _width(line: str, separator: str) -> int:
    return line.count(separator)


def _rows(
    lines: Iterator[tuple[int, list[str] | BadRecord]], places: Mapping[str, int], width: int | None
) -> Iterator[tuple[int, dict[str, str] | BadRecord]]:
    """Yield the named cells of each row.

    A row with more cells than the ``width`` of the header is bad: a separator that is part of a
    text moves all cells after it.
    """
    for number, cells in lines:
        if isinstance(cells, BadRecord):
            yield number, cells
        elif width is not None and any(cell.strip() for cell in cells[width:]):
            yield number, BadRecord("wrong_type", f"the line has {len(cells)} cells, the header has {width}")
        elif cells:
            yield number, {name: text for name, at in places.items() if at < len(cells) and (text := cells[at].strip())}


def _is_quoted(header: str, separator: str) -> bool:
    """Whether each name of the header is within quote marks, as some programs write all texts."""
    names = [name.strip() for name in header.split(separator)]
    return len(separator) == 1 and all(len(name) > 2 and name[0] == name[-1] == '"' for name in names)


def _split(lines: Iterable[str], separator: str, quoted: bool) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Yield the cells of each row with the number of its line.

    Commas and semicolons are ``quoted`` in every file, as in CSV. A cell that begins with a quote
    mark in any other file has no partner more often than not, and would swallow the lines up to the
    next one.
    """
    if separator not in (",", ";") and not quoted:
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            yield number, text.split(separator) if text.strip() else []
        return
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
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
