"""`ouzel train`: trains a model on recorded events, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.snapshot import take
from serving.errors import CliError
from serving.model_file import write_whole
from serving.outputs import require_writable
from serving.progress import progress_bar
from serving.recorded import (
    Columns,
    Encoding,
    Files,
    Limit,
    NoHeader,
    Reading,
    Separator,
    TimeFormat,
    TimeUnit,
    files_at,
    require_events,
    tell,
)
from serving.terminal import say
from streams.errors import Refused
from streams.learning.model import new_model
from streams.rules import limits_of
from streams.settings import load_settings
from streams.tools.history import read_stream
from streams.tools.recorded import Report


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    files: Files,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The safetensors file to write.")] = Path("model.safetensors"),
    limit: Limit = None,
    columns: Columns = "",
    separator: Separator = "",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    time_unit: TimeUnit = "",
    time_format: TimeFormat = "",
) -> None:
    """Train the model of the settings on recorded events, and write it to a file.

    `ouzel model import` puts the file into service.
    """
    settings, report = load_settings(), Report()
    require_writable("--out", out)
    reading = Reading(columns, separator, no_header, encoding, time_unit, time_format)
    stream = read_stream(files_at(files), reading.reader(settings), report, limits=limits_of(settings), limit=limit)
    require_events(report)
    model = new_model(settings)
    if not model.step_size:
        raise Refused(f"OUZEL_MODEL: the model {settings.model} learns nothing; the default is hybrid")
    model.warmup()
    size = model.step_size
    with progress_bar(transient=True) as progress:
        for begin in progress.track(range(0, len(stream), size), description="learning"):
            model.learn(stream.transitions.take(range(begin, min(begin + size, len(stream)))))
    try:
        write_whole(out, take(settings.model, model))
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}") from error
    say(f"{out}: {settings.model} of {len(stream)} events, {model.vocabulary_size} items, loss {model.loss:.3f}")
    tell(report)
