"""`ouzel train`: a model from history files, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from models.snapshot import take
from serving.commands import CliError
from serving.commands.replay import parse_columns
from serving.evaluation.data import located
from serving.model_file import write_whole
from streams.learning.model import new_model
from streams.settings import load_settings
from streams.tools.history import read_stream
from streams.tools.replay import Bad, ReplayError, find_files


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    files: Annotated[list[Path], typer.Argument(help="Files or folders, as for `ouzel replay`; merged by event time.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("model.safetensors"),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first events.")] = None,
    columns: Annotated[str, typer.Option(help="Our field=your column, comma separated, for CSV.")] = "",
) -> None:
    """Learn from recorded events, in order, the model that the settings ask for; `ouzel model import` puts it in service."""
    settings = load_settings()
    try:
        paths = find_files([located(path) for path in files])
        stream = read_stream(paths, parse_columns(columns), bad := Bad(), gap_ms=int(settings.session_gap_s * 1000), limit=limit)
    except (ReplayError, ValueError) as error:
        raise CliError(str(error)) from error
    model = new_model(settings)
    if not model.step_size:
        raise CliError(f"the model {settings.model} learns nothing")
    model.warmup()
    size = model.step_size
    for begin in track(range(0, len(stream), size), "learning", console=Console(stderr=True), transient=True):
        model.learn(stream.transitions.take(range(begin, min(begin + size, len(stream)))))
    try:
        write_whole(out, take(settings.model, model))
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}", 1) from error
    told = f"{out}: {settings.model} of {len(stream)} events, {model.vocabulary_size} items, loss {model.loss:.3f}"
    typer.echo(told + (f"; {bad.count} records left out" if bad.count else ""))
