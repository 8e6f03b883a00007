"""`ouzel demo`: see it work, with one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serving.commands import CliError
from serving.evaluation.data import located


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    events: Annotated[int | None, typer.Option(min=1, help="End by itself after so many events.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="A file or folder of real clicks; may be given again.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events per second; 0: as fast as they come.")] = 250.0,
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
    broker: Annotated[str | None, typer.Option(help="An existing Kafka, host:port.")] = None,
    kafka_home: Annotated[Path | None, typer.Option(help="Start the Apache Kafka that is unpacked here.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the worker's metrics.")] = None,
    page_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the page.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser, where there is one.")] = True,
) -> None:
    """Start a broker, a worker, a page and a stream of clicks, and watch the recommendations follow. Ctrl-C stops it all."""
    from serving.demo.demo import run_demo  # noqa: PLC0415
    from serving.demo.stage import DemoError, DemoOptions  # noqa: PLC0415

    found = tuple(located(path) for path in data or [])
    missing = [str(path) for path in found if not path.exists()]
    if missing:
        raise CliError(f"no such file: {', '.join(missing)}")
    if json is not None and not json.resolve().parent.is_dir():
        raise CliError(f"no folder for {json}")
    if broker and kafka_home:
        raise CliError("--broker and --kafka-home exclude each other")
    try:
        run_demo(DemoOptions(events, found, rate, json, broker, kafka_home, metrics_port, page_port, browser), Console())
    except DemoError as error:
        raise CliError(str(error), code=1) from error
