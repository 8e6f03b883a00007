"""`ouzel replay`: sends recorded behaviour from files to the events topic."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated

import msgspec
import typer
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

from serving.demo.stopping import stop_signals
from serving.errors import CliError
from serving.options import Broker, settings_with
from serving.progress import progress_bar
from serving.recorded import (
    Columns,
    Encoding,
    Files,
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
from streams.events.decode import CANONICAL
from streams.kafka.producing import Sender
from streams.kafka.topics import require_topics
from streams.tools.pace import Pace
from streams.tools.recorded import Line, Report, digest, read

INTERRUPTED = 130
_encode = msgspec.json.Encoder().encode
SAVE_EVERY = 5000
SHOW_EVERY_S = 0.1


class _Mark(msgspec.Struct):
    """The contents of the file that says how many events were sent."""

    sent: Annotated[int, msgspec.Meta(ge=0)]


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    files: Files,
    columns: Columns = "",
    separator: Separator = "",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    time_unit: TimeUnit = "",
    time_format: TimeFormat = "",
    speed: Annotated[
        str,
        typer.Option(metavar="max|FACTOR", help="max, or a factor of the recorded speed: 1 is real time, 60 a minute a second."),
    ] = "max",
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="EVENTS/S", help="Events per second, instead of --speed."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="EVENTS", help="Stop after EVENTS events.")] = None,
    loop: Annotated[bool, typer.Option(help="After the last event, start again from the first, with new event ids.")] = False,
    shift_to_now: Annotated[bool, typer.Option(help="Move the event times so that the first event is now.")] = False,
    strict: Annotated[
        bool, typer.Option(help="Send nothing if a line is not an event. Otherwise such lines are skipped.")
    ] = False,
    restart: Annotated[
        bool, typer.Option(help="Start with the first event, even if an earlier replay sent some or all of these files.")
    ] = False,
    broker: Broker = None,
) -> None:
    """Send the events of files to the events topic, in order of event time.

    Ctrl-C and SIGTERM interrupt it; the same command then resumes where it stopped.
    If all events were sent before, it sends nothing.
    """
    settings = settings_with(broker)
    paths, report = files_at(files), Report()
    lines = read(paths, Reading(columns, separator, no_header, encoding, time_unit, time_format).reader(settings), report)
    require_events(report)
    pace = Pace(time.monotonic, rate, None if rate else _speed(speed))
    if strict and report.left_out:
        raise Refused(f"{report}: {'; '.join(report.examples)}. Correct them, or leave out --strict to leave them out")
    require_topics(settings, "events")
    name = "-".join(digest(path) for path in paths)[:60]
    mark = settings.data_dir / f"replay-{settings.topic('events')}-{settings.app_id}-{name}.json"
    begin = 0 if restart or loop else _sent_before(mark)
    end = len(lines) if limit is None else limit if loop else min(limit, len(lines))
    if begin >= end > 0:
        say(f"already done: {begin} of {len(lines)} events were sent before, says {mark}; --restart sends them again")
        return
    total = None if loop and limit is None else end
    shift = int(time.time() * 1000) - lines[0].at if shift_to_now and lines else 0
    sent, shown = begin, time.monotonic()
    with stop_signals() as stop, Sender(settings) as sender, _progress() as bar:
        task = bar.add_task("replay", total=total, completed=begin)
        try:
            for line, turn in _turns(lines, begin, total, loop):
                if stop.wait(pace.wait(line.at)):
                    break
                event = msgspec.structs.replace(line.event, timestamp=line.at + shift)
                if turn:
                    event.event_id = f"{event.event_id}-{turn}"
                sender.send(settings.topic("events"), line.key, _encode(event), headers=[CANONICAL])
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
    if stop.is_set():
        say(f"stopped after {sent} events" + ("" if loop else "; the same command resumes there"), err=True)
        raise typer.Exit(INTERRUPTED)
    say(f"replayed {sent - begin} events")
    tell(report)


def _turns(lines: Sequence[Line], begin: int, total: int | None, loop: bool) -> Iterator[tuple[Line, int]]:
    """Yield the lines from position ``begin`` to ``total``, each with the number of its round.

    Positions beyond the last line are later rounds, which only ``loop`` allows.
    """
    positions = count(begin) if total is None else range(begin, total)
    for position in positions if lines else ():
        turn, at = divmod(position, len(lines))
        if turn and not loop:
            return
        yield lines[at], turn


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not factor > 0:
        raise Refused(f"--speed: {text!r} is neither max nor a number above 0; an example is --speed 60")
    return factor


def _sent_before(mark: Path) -> int:
    """Return how many events earlier replays of the same files have sent."""
    if not mark.is_file():
        return 0
    try:
        return msgspec.json.decode(mark.read_bytes(), type=_Mark).sent
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{mark} does not say where the last replay stopped: delete it, or use --restart") from error


def _save(mark: Path, sent: int) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_bytes(_encode(_Mark(sent)))
    except OSError as error:
        raise CliError(f"{mark}: {error.strerror}; {sent} events were sent, but a next replay cannot resume there") from error


class RateColumn(ProgressColumn):
    """A column of the progress bar that shows events per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} events/s")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return progress_bar(*columns)
