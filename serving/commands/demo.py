"""`ouzel demo`: starts everything that a first look at Ouzel needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from serving.evaluation.data import located
from serving.options import checked_broker
from serving.outputs import STDOUT, JsonToFile
from serving.terminal import terminal
from streams.errors import Refused


def register(app: typer.Typer) -> None:
    app.command("demo", cls=JsonToFile)(demo)


def demo(
    events: Annotated[
        int | None, typer.Option(min=1, metavar="EVENTS", help="Stop after EVENTS events; without it, run until Ctrl-C.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="A file or folder of recorded clicks instead of the simulated shop; may be repeated."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, metavar="EVENTS/S", help="Events per second; 0 is as fast as possible.")] = 250.0,
    json: Annotated[
        Path | None, typer.Option(metavar="[FILE]", help="Write the summary as JSON to FILE, or print it if FILE is left out.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Use this Kafka instead of the embedded broker.")
    ] = None,
    kafka_home: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Start the Apache Kafka that is unpacked in FOLDER.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Port of the worker's metrics; by default a free one.")
    ] = None,
    page_port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Port of the page; by default a free one.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser, if there is one.")] = True,
) -> None:
    """Show Ouzel at work: start a broker, a worker, the page and a stream of clicks.

    Ctrl-C stops all of them, and prints a summary.
    Without --broker or --kafka-home, the embedded broker is started.
    """
    from serving.demo.demo import run_demo  # noqa: PLC0415
    from serving.demo.stage import DemoOptions  # noqa: PLC0415

    paths = tuple(located(path) for path in data or [])
    missing = [str(path) for path in paths if not os.path.exists(path)]
    if missing:
        raise Refused(f"--data: no such file or folder: {', '.join(missing)}")
    if json is not None and json != STDOUT and not json.resolve().parent.is_dir():
        raise Refused(f"--json: there is no folder {json.resolve().parent} to write {json.name} to; create it first")
    if broker is not None:
        checked_broker(broker)
    if broker and kafka_home:
        raise Refused("--broker and --kafka-home exclude each other: use a running Kafka, or start one")
    run_demo(
        DemoOptions(events, paths, rate, json, broker, kafka_home, metrics_port, page_port, browser),
        terminal(err=json == STDOUT),
    )
