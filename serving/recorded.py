"""The arguments of commands that read recorded events from files.

`ouzel replay`, `ouzel evaluate` and `ouzel train` share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from serving.evaluation.data import located
from serving.terminal import say
from streams.errors import NothingRead, Refused
from streams.events.event_time import AUTO, PER_UNIT
from streams.rules import event_decoder
from streams.settings import Settings
from streams.tools.recorded import ZERO, Reader, Report, find_files
from streams.tools.tables import WORDS, Layout

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="Files, or folders of files: JSON lines, an array of JSON, or a table with commas, tabs or another separator; "
        "also with gzip or zstd. The events of all files are merged by event time.",
    ),
]
Columns = Annotated[
    str,
    typer.Option(
        metavar="FIELD=COLUMN,...",
        help="Which column holds which field, such as item_id=sku,timestamp=ts,user_id=uid. In JSON, a column is a dotted path; "
        "in a table without a header, it is a position from 0.",
    ),
]
Separator = Annotated[
    str, typer.Option(metavar="TEXT", help=f"Separator of a table's cells, or {', '.join(WORDS)}. Default: as in the first line.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The table has no header: its first line is an event.")]
Encoding = Annotated[str, typer.Option(metavar="NAME", help="Encoding of the files, such as latin-1. A byte order mark wins.")]
TimeUnit = Annotated[
    str, typer.Option(metavar="UNIT", help=f"Unit of times that are numbers: {', '.join(PER_UNIT)}. Default: OUZEL_TIME_UNIT.")
]
TimeFormat = Annotated[
    str, typer.Option(metavar="FORMAT", help="Form of the times, such as '%d/%m/%Y %H:%M'. Default: OUZEL_TIME_FORMAT.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="EVENTS", help="Use only the first EVENTS events.")]

MAX_EVENTS_OF_A_LINE = 100_000
"""Maximum number of events in one line of a file, such as a whole session of OTTO."""
ADVICE = {
    "missing_field": ". Name the columns with --columns item_id=...,timestamp=...,user_id=...",
    "not_utf8": ". Name the encoding with --encoding, such as latin-1",
}
"""What to do about the reason for which most lines were left out, if its text does not say so."""


class Reading(msgspec.Struct, frozen=True):
    """The options that say how files are read. ``columns`` is as `Columns` is written."""

    columns: str = ""
    separator: str = ""
    no_header: bool = False
    encoding: str = "utf-8"
    time_unit: str = ""
    time_format: str = ""

    def reader(self, settings: Settings) -> Reader:
        """Return the reader that these options and the settings give. Raises `Refused`."""
        if self.time_unit and self.time_unit not in (*PER_UNIT, AUTO):
            raise Refused(f"--time-unit: {self.time_unit!r} is not one of {', '.join((*PER_UNIT, AUTO))}")
        try:
            "".encode(self.encoding)  # some codecs are not of text, such as hex
        except (LookupError, UnicodeError):
            raise Refused(f"--encoding: there is no encoding {self.encoding}; examples are utf-8, latin-1, utf-16-le") from None
        columns = parse_columns(self.columns)
        unit, form = self.time_unit or settings.time_unit, self.time_format or settings.time_format
        settings = settings.model_copy(update={"time_unit": unit, "time_format": form})
        mapped = settings.model_copy(update={"field_mapping": settings.field_mapping | columns})
        layout = Layout(columns, self.separator or None, not self.no_header, self.encoding)
        named = unit != AUTO or form is not None
        alone = () if "guests" in settings.model_fields_set else (ZERO,)
        decoder, rows = (event_decoder(one, _ignore, max_events=MAX_EVENTS_OF_A_LINE, alone=alone) for one in (mapped, settings))
        return Reader(decoder, rows, layout, named)


def files_at(paths: Sequence[Path]) -> list[Path]:
    """Return the files at these paths, including the files in folders.

    A path may also be the name of a data set in OUZEL_TEST_DATA. Raises `Refused` for a path at
    which there is no file.
    """
    return find_files([located(path) for path in paths])


def parse_columns(text: str) -> dict[str, str]:
    """Parse the option ``--columns``: return the column of each field. Raises `Refused`."""
    columns = dict[str, str]()
    for pair in filter(None, text.split(",")):
        field, separator, column = (part.strip() for part in pair.partition("="))
        if not (field and separator and column):
            raise Refused(
                f"--columns: {pair!r} is not FIELD=COLUMN; an example is --columns item_id=sku,timestamp=ts,user_id=uid"
            )
        columns[field] = column
    return columns


def require_events(report: Report) -> None:
    """Raise `NothingRead` with the first problems, and what to do, if no line was an event."""
    if report.events:
        return
    first = (*report.examples, *report.unmapped)
    problems = f"; the first problems: {'; '.join(first)}" if first else ""
    advice = next((ADVICE[reason] for reason, _ in report.left_out.most_common(1) if reason in ADVICE), "")
    raise NothingRead(f"0 of {report.lines} lines were events{problems}{advice}")


def tell(report: Report) -> None:
    """Print what became of the lines, and the first of those that were left out."""
    say(str(report), err=True)
    for example in report.examples:
        say(f"left out {example}", err=True)
    for problem in report.unmapped:
        say(problem, err=True)
    if report.of_zero:
        advice = f"if {ZERO} means that they are unknown, set OUZEL_GUESTS='[\"{ZERO}\"]'"
        say(f"{report.of_zero} events are of user or session {ZERO}: {advice}", err=True)


def _ignore(problem: str) -> None:
    """Leave a mapped path that was not found to the report at the end."""
