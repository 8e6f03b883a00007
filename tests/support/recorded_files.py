"""Writes files of recorded events, and reads them as the commands do."""

from __future__ import annotations

from pathlib import Path

from serving.recorded import Reading
from streams.settings import Settings
from streams.tools.recorded import Line, Report, find_files, read


def lines_of(*paths: Path, report: Report | None = None, settings: Settings | None = None, **options: object) -> list[Line]:
    """Read files with ``options``, which are those of `Reading`."""
    reader = Reading(**options).reader(settings or Settings())  # type: ignore[arg-type]
    return read(find_files(paths), reader, report if report is not None else Report())


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a file, and return its path."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def shown(line: Line) -> tuple[str | None, str, int]:
    """The user or session, the item and the time of an event."""
    return line.event.user_id or line.event.session_id, line.event.item_id, line.at
