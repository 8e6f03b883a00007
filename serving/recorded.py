"""The arguments of commands that read recorded events from files.

`ouzel replay`, `ouzel evaluate` and `ouzel train` share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from serving.evaluation.data import located
from streams.errors import Refused
from streams.tools.replay import find_files

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="Files, or folders of files: JSON lines (.json, .jsonl, .ndjson), CSV (.csv), or text with tabs (.txt, .tsv) and "
        "the columns SessionId, Time and ItemId. The events of all files are merged by event time.",
    ),
]
Columns = Annotated[
    str,
    typer.Option(
        metavar="FIELD=COLUMN,...",
        help="For CSV and text files: which column holds which field, such as item_id=sku,timestamp=ts,user_id=uid.",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="EVENTS", help="Use only the first EVENTS events.")]


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
