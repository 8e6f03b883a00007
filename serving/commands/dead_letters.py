"""`ouzel dead-letters list|show|redrive`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from serving.commands import CliError
from streams.kafka.connection import connecting, consumer_config
from streams.kafka.producing import DeliveryError, Sender
from streams.settings import Settings, load_settings

QUIET_S = 1.5
REDRIVEN = "ouzel-redriven"

letters = typer.Typer(no_args_is_help=True, help="Records that were no events: look at them, send them again.")
Reason = Annotated[str | None, typer.Option(help="Only those of this reason.")]


def register(app: typer.Typer) -> None:
    app.add_typer(letters, name="dead-letters")


@letters.command("list")
def list_(reason: Reason = None, limit: Annotated[int, typer.Option(min=1)] = 100) -> None:
    """Where each dead letter came from, and why; the newest last."""
    settings = load_settings()
    found = [record for record in read(settings) if _matches(record, reason)]
    table = Table("letter", "reason", "from", "detail", "key")
    for record in found[-limit:]:
        told = headers(record)
        source = f"{told.get('topic')}-{told.get('partition')}-{told.get('offset')}"
        key = (record.key or b"").decode(errors="replace")[:40]
        table.add_row(_place(record), told.get("reason"), source, told.get("detail", "")[:60], key)
    Console().print(table)
    counts = Counter(headers(record).get("reason", "?") for record in found)
    typer.echo(f"{len(found)} dead letters" + "".join(f", {name} {count}" for name, count in counts.most_common()))


@letters.command()
def show(letter: Annotated[str, typer.Argument(help="partition:offset, as `list` prints it.")]) -> None:
    """One dead letter, whole: its headers and its bytes as far as they are text."""
    record = next((r for r in read(load_settings()) if _place(r) == letter), None)
    if record is None:
        raise CliError(f"no dead letter {letter}", 1)
    for name, value in headers(record).items():
        typer.echo(f"{name}: {value}")
    typer.echo(f"key: {(record.key or b'').decode(errors='backslashreplace')}")
    typer.echo((record.value or b"").decode(errors="backslashreplace"))


@letters.command()
def redrive(
    reason: Reason = None,
    letter: Annotated[list[str] | None, typer.Option(help="Only this one (partition:offset); may be given again.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send dead letters to the events topic again, as they were: after the settings or the decoder were mended."""
    settings = load_settings()
    records = list(read(settings))
    unknown = sorted(set(letter or ()) - set(map(_place, records)))
    if unknown:
        raise CliError(f"no dead letter {', '.join(unknown)}", 1)
    chosen = [r for r in records if _matches(r, reason) and (not letter or _place(r) in letter)]
    whole = [r for r in chosen if not {"value_length", "key_length"} & set(headers(r)) and (r.key or r.value)]
    if len(whole) < len(chosen):
        typer.echo(f"{len(chosen) - len(whole)} cannot be sent again: cut short, or empty of key and value", err=True)
    if not whole:
        typer.echo("nothing to send")
        return
    if not yes:
        typer.confirm(f"Send {len(whole)} dead letters to {settings.topic('events')} again?", abort=True)
    try:
        with Sender(settings) as sender:
            for record in whole:
                sender.send(settings.topic("events"), record.key, record.value, [(REDRIVEN, _place(record).encode())])
    except DeliveryError as error:
        raise CliError(str(error), 1) from error
    typer.echo(f"sent {len(whole)}")


def headers(record: Any) -> dict[str, str]:
    """A record's headers as text."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers or ()}


def read(settings: Settings) -> Iterator[Any]:
    """Every dead letter there is now, in order of partition and offset; ends when the topic has been quiet for a while."""
    topic = settings.topic("dead-letters")
    with connecting(settings):
        consumer = KafkaConsumer(
            **consumer_config(settings), auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
        )
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    if not partitions:
        raise CliError(f"no topic {topic}: `ouzel topics create` makes it", 1)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    found, heard = [], time.monotonic()
    while time.monotonic() - heard < QUIET_S:
        for polled in consumer.poll(timeout_ms=200).values():
            found += polled
            heard = time.monotonic()
    consumer.close()
    yield from sorted(found, key=lambda record: (record.partition, record.offset))


def _place(record: Any) -> str:
    """What a dead letter is called."""
    return f"{record.partition}:{record.offset}"


def _matches(record: Any, reason: str | None) -> bool:
    return reason is None or headers(record).get("reason") == reason
