"""`ouzel model export|import|inspect`: the model's snapshots in Kafka and in files."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from models.snapshot import SnapshotError, read_header, restore, take
from serving.commands import CliError
from serving.groups import refuse_while_live
from serving.model_file import read_model, write_whole
from streams.events.records import Transition
from streams.kafka.connection import aiokafka_config, connecting, consumer_config
from streams.kafka.follower import bounds
from streams.kafka.producing import DeliveryError, Sender
from streams.kafka.topics import require_topics
from streams.learning.model_log import SnapshotRefused, Stored, to_records
from streams.learning.snapshots import read_snapshot_log
from streams.settings import Settings, load_settings

TAIL = 10_000
"""Transitions before the log's end whose events count as learned: a unit that was sent twice lies that close."""

models = typer.Typer(no_args_is_help=True, help="The model's snapshots in Kafka, and models in files.")


def register(app: typer.Typer) -> None:
    app.add_typer(models, name="model")


@models.command()
def export(file: Annotated[Path, typer.Argument(help="The safetensors file to write.")]) -> None:
    """Write the newest whole snapshot to a file."""
    settings = load_settings()
    for stored in _snapshots(settings):
        try:
            data = stored.load()
            restore(data)
        except (SnapshotRefused, SnapshotError) as error:
            typer.echo(f"passed over snapshot {stored.manifest.snapshot}: {error}", err=True)
            continue
        try:
            write_whole(file, data)
        except OSError as error:
            raise CliError(f"{file}: {error.strerror}", 1) from error
        typer.echo(f"{file}: {_line(stored)}")
        return
    raise CliError(f"no whole snapshot in {settings.topic('model')}", 1)


@models.command("import")
def import_(file: Annotated[Path, typer.Argument(help="A safetensors file of `ouzel train` or `ouzel model export`.")]) -> None:
    """Put a model in service at the present end of the transitions log. The workers must be stopped."""
    settings = load_settings()
    model = read_model(settings, file)
    require_topics(settings, "model", "model-updates", "transitions", "events")
    refuse_while_live(settings)
    end, position = learned_until(settings)
    told = asyncio.run(bounds(settings.topic("model-updates"), aiokafka_config(settings), 0)).stop
    model.reposition(position)
    chunks, last = to_records(
        take(settings.model, model), uuid.uuid4().hex, transitions_offset=end, epoch=0, steps=model.steps,
        created_at=int(time.time() * 1000), updates_offset=told,
    )  # fmt: skip
    try:
        with Sender(settings) as sender:
            for key, value, headers in chunks:
                sender.send(settings.topic("model"), key, value, headers)
            sender.flush()  # the manifest only when the chunks are there
            key, value, headers = last
            sender.send(settings.topic("model"), key, value, headers)
    except DeliveryError as error:
        raise CliError(str(error), 1) from error
    typer.echo(f"{settings.topic('model')}: {model.vocabulary_size} items, {model.steps} steps; goes on at transition {end}")


@models.command()
def inspect(file: Annotated[Path | None, typer.Argument(help="A file; without one, the snapshots in Kafka.")] = None) -> None:
    """Tell what a file holds, or which snapshots there are and whether each is whole."""
    if file is not None:
        try:
            data = file.read_bytes()
            told = read_header(data)
            model = restore(data)
        except OSError as error:
            raise CliError(f"{file}: {error.strerror}") from error
        except SnapshotError as error:
            raise CliError(f"{file}: {error}") from error
        typer.echo(f"{told.model} {told.config}, version {told.version}, sha256 {told.sha256}")
        typer.echo(f"{model.vocabulary_size} items, {model.steps} steps, loss {model.loss:.3f}, {len(data):,} bytes")
        typer.echo("position: " + (", ".join(f"{p}:{o}" for p, o in sorted(model.position.items())) or "none"))
        return
    table = Table("written", "steps", "goes on at", "bytes", "chunks", "epoch", "state")
    for stored in _snapshots(load_settings()):
        told_ = stored.manifest
        try:
            restore(stored.load())
            state = "whole"
        except (SnapshotRefused, SnapshotError) as error:
            state = f"refused: {error}"
        at = datetime.fromtimestamp(told_.created_at / 1000, UTC).isoformat(timespec="seconds")
        cells = (told_.steps, told_.transitions_offset, told_.bytes, told_.chunks, told_.epoch)
        table.add_row(at, *(f"{cell:,}" for cell in cells), state)
    Console().print(table)


def learned_until(settings: Settings) -> tuple[int, dict[int, int]]:
    """The end of the transitions log, and per source partition the highest source offset that lies just before it.

    An events topic that was made anew begins at 0 again: no offset beyond its end counts.
    """
    with connecting(settings):
        consumer = KafkaConsumer(**consumer_config(settings), group_id=None, enable_auto_commit=False)
    try:
        tp, events = TopicPartition(settings.topic("transitions"), 0), settings.topic("events")
        sources = [TopicPartition(events, number) for number in consumer.partitions_for_topic(events) or ()]
        ends = consumer.end_offsets([tp, *sources])
        begin, end = consumer.beginning_offsets([tp])[tp], ends[tp]
        consumer.assign([tp])
        consumer.seek(tp, max(begin, end - TAIL))
        position = dict[int, int]()
        while consumer.position(tp) < end:
            for record in consumer.poll(timeout_ms=500).get(tp, ()):
                _note(position, record)
    finally:
        consumer.close()
    last = {source.partition: ends[source] - 1 for source in sources}
    return end, {partition: min(offset, last.get(partition, offset)) for partition, offset in position.items()}


def _note(position: dict[int, int], record: Any) -> None:
    try:
        transition = msgspec.json.decode(record.value, type=Transition)
    except (msgspec.DecodeError, TypeError):
        return
    partition = transition.source_partition
    position[partition] = max(transition.source_offset, position.get(partition, -1))


def _snapshots(settings: Settings) -> list[Stored]:
    require_topics(settings, "model")
    return list(asyncio.run(read_snapshot_log(settings)).newest_first())


def _line(stored: Stored) -> str:
    told = stored.manifest
    return f"{told.steps} steps, {told.bytes:,} bytes, goes on at transition {told.transitions_offset}"
