"""Reads recorded behaviour from files, in order of event time, with the decoder of live events.

Pure, except for reading the files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from streams.errors import NothingRead
from streams.events.aliases import canonical
from streams.events.bounds import BadRecord
from streams.events.decode import Decoded, EventDecoder, event_key
from streams.events.notes import Kind
from streams.events.records import Event
from streams.tools.documents import documents, is_json
from streams.tools.tables import Layout, Table, table
from streams.tools.text import FileError, opened

SUFFIXES = (".txt", ".tsv", ".csv", ".dat", ".data", ".inter", ".json", ".jsonl", ".ndjson")
COMPRESSED = (".gz", ".zst")
EXAMPLES = 5
ZERO = "0"
"""The first id in files that number users or sessions. Live events have it for unknown users."""
NUMBERS = frozenset({"s", "ms", "us", "ns", "days"})
"""Forms of times whose unit was told by size."""


class Line(NamedTuple):
    """One event of a file: event time ``at`` in epoch ms, position of the file, line from 1."""

    at: int
    file: int
    number: int
    event: Event

    @property
    def key(self) -> bytes:
        """The record key: the user id, or else the session id."""
        return event_key(self.event)


@dataclass
class Report:
    """What became of the lines: how many were read, and why some were left out.

    ``examples`` are the first five of these as ``file:line: reason``.
    """

    lines: int = 0
    events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    unmapped: Sequence[str] = ()
    """A message for each path of the mapping at which no line has a value."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Optional fields that could not be read, with the number of events that lack them."""
    of_zero: int = 0
    """Events of the user or session `ZERO`."""

    def leave_out(self, path: Path, number: int, problem: BadRecord) -> None:
        """Count a line that is not an event."""
        self.left_out[problem.reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{path.name}:{number}: {problem}")

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())
        left_out = f"; left out {self.left_out.total()}: {reasons}" if reasons else ""
        fields = ", ".join(f"{count} {name}" for name, count in self.dropped.most_common())
        dropped = f"; fields that cannot be read: {fields}" if fields else ""
        return f"read {self.lines} lines: {self.events} events{left_out}{dropped}"


class Reader(NamedTuple):
    """How to read files: ``decoder`` decodes JSON, ``rows`` the rows of tables in this ``layout``.

    ``named_unit`` says that the unit or format of times was named, so that any time is believed.
    """

    decoder: EventDecoder
    rows: EventDecoder
    layout: Layout = Layout()
    named_unit: bool = False


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return these files, and the files in these folders.

    Raises `FileError` if there are none.
    """
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += sorted(inner for inner in path.iterdir() if _plain_suffix(inner) in SUFFIXES)
            elif path.is_file():
                files.append(path)
            else:
                raise FileError(f"no file {path}, and no folder of that name")
        except OSError as error:  # a folder that may not be read, or a name that is too long
            raise FileError(f"{path}: {error.strerror}") from None
    if not files:
        raise FileError(f"no files to read: the folders have none that end in {', '.join(SUFFIXES)}, or these with .gz or .zst")
    return files


def read(paths: Sequence[Path], reader: Reader, report: Report) -> list[Line]:
    """Return the events of all files by event time; equal times stay in the order of the lines.

    Lines that are not events are counted in ``report``. Raises `FileError` for a file that cannot
    be read, and for times that are probably misread.
    """
    lines = [line for n, path in enumerate(paths) for line in _lines(n, path, reader, report)]
    report.events, report.unmapped = len(lines), reader.decoder.mapped.unseen
    report.of_zero = sum(line.key == ZERO.encode() for line in lines)
    return sorted(lines, key=lambda line: line[:3])


def digest(path: Path) -> str:
    """Return a short hash of a file's contents, so that event ids are the same in every replay.

    Raises `FileError` for a file that cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}; let this user read the file") from None


def _lines(n: int, path: Path, reader: Reader, report: Report) -> Iterator[Line]:
    units: dict[str, int] = {}
    for number, decoded in _decoded(path, reader, report):
        if not reader.named_unit:
            _check_times(path, number, decoded, units)
        report.dropped.update(name for kind, name in decoded.notes if kind is Kind.DROPPED)
        if decoded.bad is not None:
            report.leave_out(path, number, decoded.bad)
        elif not decoded.events:
            report.leave_out(path, number, BadRecord("ignored"))
        for event in decoded.events:
            yield Line(event.timestamp, n, number, event)


def _check_times(path: Path, number: int, decoded: Decoded, units: dict[str, int]) -> None:
    """Stop at a time before 2000, and at a number in another unit than the file's first one."""
    at = decoded.events[0].timestamp if decoded.events else 0
    right = "name the unit of its times with --time-unit, or their form with --time-format"
    for kind, form in decoded.notes:
        if kind is Kind.EARLY:
            raise FileError(f"{path.name}:{number}: the time is {at / 1000:g} s after 1970, so it may not be a time: {right}")
        if kind is Kind.TIME and form in NUMBERS:
            units.setdefault(form, number)
    if decoded.events and not any(kind is Kind.TIME for kind, _ in decoded.notes):
        units.setdefault("ms", number)
    if len(units) > 1:
        first, other = list(units.items())[:2]
        raise FileError(f"{path.name}:{other[1]}: the time is in {other[0]}, that of line {first[1]} in {first[0]}: {right}")


def _decoded(path: Path, reader: Reader, report: Report) -> Iterator[tuple[int, Decoded]]:
    """Yield the number of each line, and what it holds; leave out those that are not events."""
    name = digest(path)
    with opened(path, reader.layout.encoding) as stream:
        if is_json(_plain_suffix(path), stream):
            before = report.lines
            for number, value in documents(path, stream):
                report.lines += 1
                place = {"topic": name, "partition": 0, "offset": number, "timestamp_ms": -1}
                try:
                    yield number, reader.decoder.decode(None, value, **place)  # type: ignore[arg-type]
                except BadRecord as problem:
                    report.leave_out(path, number, problem)
            if report.lines == before:
                raise NothingRead(f"{path.name}: it is empty")
            return
        rows = table(path, stream, reader.layout)
        _check_columns(path, rows)
        for number, cells in rows.rows:
            report.lines += 1
            try:
                if isinstance(cells, BadRecord):
                    raise cells
                yield number, reader.rows.decode_fields(cells, f"{name}-{number}")
            except BadRecord as problem:
                report.leave_out(path, number, problem)


def _check_columns(path: Path, rows: Table) -> None:
    """Raise `FileError` if the columns cannot hold an event."""
    found: Mapping[str, object] = canonical(dict.fromkeys(rows.names, "x"), {})[0]
    missing = [name for name in ("item_id", "timestamp") if found[name] is None]
    if found["user_id"] is None and found["session_id"] is None:
        missing.append("user_id or session_id")
    if missing:
        raise FileError(
            f"{path.name}: no column for {', '.join(missing)}; its first line is {rows.first}. Name the columns with --columns "
            "item_id=...,timestamp=...,user_id=..., by position from 0 if the file has no header"
        )
    for name in rows.repeated:
        if any(value is not None for value in canonical({name: "x"}, {})[0].values()):
            raise FileError(f"{path.name}: several columns are named {name}: name the columns by position from 0 with --columns")


def _plain_suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
