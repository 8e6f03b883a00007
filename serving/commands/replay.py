"""`ouzel replay`: recorded behaviour from files into the events topic."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from serving.commands import CliError
from serving.demo.stopping import stop_signals
from serving.evaluation.data import located
from streams.kafka.producing import DeliveryError, Sender
from streams.kafka.topics import require_topics
from streams.settings import load_settings
from streams.tools.replay import Bad, Line, Pace, ReplayError, digest, find_files, read

INTERRUPTED = 130
SAVE_EVERY = 5000
SHOW_EVERY_S = 0.1


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    files: Annotated[list[Path], typer.Argument(help="Files or folders: SessionId Time ItemId tab files, CSV, JSON lines.")],
    columns: Annotated[str, typer.Option(help="Our field=your column, comma separated, for CSV.")] = "",
    speed: Annotated[str, typer.Option(help="max, or a multiple of recorded time such as 1 or 60.")] = "max",
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events per second, instead of --speed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many events.")] = None,
    loop: Annotated[bool, typer.Option(help="Begin again at the end.")] = False,
    shift_to_now: Annotated[bool, typer.Option(help="Move event times so that the first is now.")] = False,
    strict: Annotated[bool, typer.Option(help="Fail on a line that is no event.")] = False,
    restart: Annotated[bool, typer.Option(help="From the beginning, not from where the last replay stopped.")] = False,
) -> None:
    """Produce the events of files, merged by event time. Interrupted, it goes on where it stopped."""
    settings = load_settings()
    bad = Bad()
    try:
        found = find_files([located(path) for path in files])
        lines = read(found, parse_columns(columns), bad)
        pace = Pace(time.monotonic, rate, None if rate else _speed(speed))
    except (ReplayError, ValueError) as error:
        raise CliError(str(error)) from error
    _tell(bad, strict)
    require_topics(settings, "events")
    name = "-".join(digest(path) for path in found)[:60]
    mark = settings.data_dir / f"replay-{settings.app_id}-{name}.json"
    begin = 0 if restart or loop or not mark.is_file() else int(json.loads(mark.read_text())["sent"])
    end = len(lines) if limit is None else limit if loop else min(limit, len(lines))
    total = None if loop and limit is None else end
    shift = int(time.time() * 1000) - lines[0].at if shift_to_now and lines else 0
    sent, shown = begin, time.monotonic()
    try:
        with stop_signals() as stop, Sender(settings) as sender, _progress() as bar:
            task = bar.add_task("replay", total=total, completed=begin)
            try:
                for line, turn in _turns(lines, begin, total, loop):
                    if stop.wait(pace.wait(line.at)):
                        break
                    event = dict(line.event, timestamp=line.at + shift)
                    if turn:
                        event["event_id"] = f"{event['event_id']}-{turn}"
                    sender.send(settings.topic("events"), line.key, json.dumps(event).encode())
                    sent += 1
                    if time.monotonic() - shown > SHOW_EVERY_S:
                        shown = time.monotonic()
                        bar.update(task, completed=sent)
                    if sent % SAVE_EVERY == 0 and not loop:
                        sender.flush()
                        _save(mark, sent)
            finally:
                sender.flush()
                bar.update(task, completed=sent)
                if not loop:
                    _save(mark, sent)
    except DeliveryError as error:
        raise CliError(str(error), 1) from error
    if stop.is_set():
        typer.echo(f"stopped after {sent} events" + ("" if loop else "; the same command goes on from there"), err=True)
        raise typer.Exit(INTERRUPTED)
    if not loop and sent >= len(lines):
        mark.unlink(missing_ok=True)
    typer.echo(f"replayed {sent - begin} events")


def _turns(lines: Sequence[Line], begin: int, total: int | None, loop: bool) -> Iterator[tuple[Line, int]]:
    """Lines with the number of the round; from ``begin`` to ``total``, round and round when ``loop``."""
    positions = count(begin) if total is None else range(begin, total)
    for position in positions if lines else ():
        turn, at = divmod(position, len(lines))
        if turn and not loop:
            return
        yield lines[at], turn


def parse_columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not (ours and separator and theirs) for ours, separator, theirs in pairs):
        raise ValueError("--columns wants item_id=..,timestamp=..,session_id=..")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"--speed is max or a number, not {text}") from None
    if value <= 0:
        raise ValueError("--speed must be above 0")
    return value


def _tell(bad: Bad, strict: bool) -> None:
    if not bad.count:
        return
    text = f"{bad.count} lines are no events: {'; '.join(bad.examples)}"
    if strict:
        raise CliError(text)
    typer.echo(f"skipped: {text}", err=True)


def _save(mark: Path, sent: int) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"sent": sent}))


class RateColumn(ProgressColumn):
    """Events per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} events/s")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
