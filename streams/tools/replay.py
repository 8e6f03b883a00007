"""Reads recorded behaviour from files, in order of event time, as records of the events topic.

Pure, except for reading the files.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from streams.errors import Refused
from streams.events.bounds import JsonObject

SUFFIXES = (".txt", ".tsv", ".csv", ".json", ".jsonl", ".ndjson")
SECONDS_BELOW = 1e11
"""A smaller number is in seconds, any other in milliseconds."""


class ReplayError(Refused):
    """A file cannot be replayed. The message says why, in one line."""


class Line(NamedTuple):
    """One event of a file: event time ``at`` in epoch ms, position of the file, line from 1."""

    at: int
    file: int
    number: int
    event: JsonObject

    @property
    def key(self) -> bytes:
        """The record key: the user id, or else the session id."""
        return str(self.event.get("user_id", self.event.get("session_id", ""))).encode()


@dataclass
class Bad:
    """Invalid lines: their number, and the first five as ``file:line: reason``."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, path: Path, number: int, reason: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.examples) < 5:
            self.examples.append(f"{path.name}:{number}: {reason}")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return these files, and the files in these folders.

    Raises `ReplayError` if there are none.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(inner for inner in path.iterdir() if inner.suffix in SUFFIXES)
        elif path.is_file():
            files.append(path)
        else:
            raise ReplayError(f"no file {path}, and no folder of that name")
    if not files:
        raise ReplayError(f"no files to replay: the folders have none that end in {', '.join(SUFFIXES)}")
    return files


def read(paths: Sequence[Path], columns: Mapping[str, str], bad: Bad) -> list[Line]:
    """Return the events of all files by event time; equal times stay in the order of the lines.

    ``columns`` maps Ouzel's fields to columns of a table. Invalid lines go to ``bad``.
    """
    lines = [line for n, path in enumerate(paths) for line in _lines(n, path, columns, bad)]
    return sorted(lines, key=lambda line: line[:3])


def digest(path: Path) -> str:
    """Return a short hash of a file's contents, so that event ids are the same in every replay."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _lines(n: int, path: Path, columns: Mapping[str, str], bad: Bad) -> Iterator[Line]:
    name = digest(path)
    for number, row in _rows(path, columns, bad):
        try:
            event = {key: value for key, value in row.items() if value not in (None, "")}
            at = milliseconds(event["timestamp"])
            if "item_id" not in event or not ("user_id" in event or "session_id" in event):
                raise KeyError("item_id, and user_id or session_id")
        except KeyError as error:
            bad.add(path, number, f"no {error.args[0]}")
        except ValueError as error:
            bad.add(path, number, str(error))
        else:
            event["timestamp"] = at
            event.setdefault("event_id", f"{name}-{number}")
            yield Line(at, n, number, event)


def _rows(path: Path, columns: Mapping[str, str], bad: Bad) -> Iterator[tuple[int, JsonObject]]:
    """Yield the number and Ouzel's fields of each line, whatever the format."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        if path.suffix in (".json", ".jsonl", ".ndjson"):
            for number, text in enumerate(stream, start=1):
                try:
                    row = json.loads(text)
                except ValueError as error:
                    bad.add(path, number, f"not JSON: {error}")
                    continue
                if isinstance(row, dict):
                    yield number, row
                else:
                    bad.add(path, number, "not an object")
            return
        reader = csv.DictReader(stream, delimiter="," if path.suffix == ".csv" else "\t")
        header = reader.fieldnames or ()
        names = dict(columns) or {"session_id": "SessionId", "timestamp": "Time", "item_id": "ItemId"}
        missing = sorted(set(names.values()) - set(header))
        if missing:
            raise ReplayError(
                f"{path.name}: no column {missing[0]}; it has {', '.join(header)}. Name them with --columns item_id=...,..."
            )
        for number, cells in enumerate(reader, start=2):
            yield number, {ours: cells.get(theirs) for ours, theirs in names.items()}


def milliseconds(value: str | float) -> int:
    """Return epoch ms from epoch seconds, epoch ms or ISO 8601. Raises ``ValueError``."""
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    number = float(value)
    return round(number * 1000) if number < SECONDS_BELOW else int(number)


@dataclass
class Pace:
    """Computes when the next event is due.

    ``rate`` is in events/s. ``speed`` lets event time pass that many times as fast. Without both,
    every event is due at once. ``clock`` returns seconds. The caller sleeps.
    """

    clock: Callable[[], float]
    rate: float | None = None
    speed: float | None = None
    _began: float | None = None
    _first: int = 0
    _sent: int = 0

    def wait(self, at: int) -> float:
        """Return the seconds until the next event is due, at least 0.

        ``at`` is its event time in ms.
        """
        now = self.clock()
        if self._began is None:
            self._began, self._first = now, at
        if self.rate:
            due = self._began + self._sent / self.rate
        elif self.speed:
            due = self._began + (at - self._first) / 1000 / self.speed
        else:
            due = now
        self._sent += 1
        return max(due - now, 0.0)
