"""`ouzel train`: trains a model on recorded events, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.snapshot import take
from serving.errors import CliError
from serving.model_file import write_whole
from serving.progress import progress_bar
from serving.recorded import Columns, Files, Limit, files_at, parse_columns
from streams.errors import Refused
from streams.learning.model import new_model
from streams.settings import load_settings
from streams.tools.history import read_stream
from streams.tools.replay import Bad


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    files: Files,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The safetensors file to write.")] = Path("model.safetensors"),
    limit: Limit = None,
    columns: Columns = "",
) -> None:
    """Train the model of the settings on recorded events, and write it to a file.

    `ouzel model import` puts the file into service.
    """
    settings, bad = load_settings(), Bad()
    paths, gap_ms = files_at(files), int(settings.session_gap_s * 1000)
    try:
        stream = read_stream(paths, parse_columns(columns), bad, gap_ms=gap_ms, limit=limit)
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from error
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
    summary = f"{out}: {settings.model} of {len(stream)} events, {model.vocabulary_size} items, loss {model.loss:.3f}"
    typer.echo(summary + (f"; lines skipped: {bad.count}, such as {'; '.join(bad.examples)}" if bad.count else ""))
