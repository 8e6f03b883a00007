"""`ouzel model export|import|inspect`: moves and shows the model's snapshots."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from kafka import TopicPartition

from models.snapshot import take
from serving.errors import CliError
from serving.groups import refuse_while_live
from serving.model_file import read_file, read_model, write_whole
from serving.options import Broker, Json, settings_with
from serving.outputs import print_json, require_writable
from serving.tables import print_table
from serving.terminal import say
from streams.errors import BadData, NothingRead, Refused
from streams.kafka.connection import aiokafka_config, connecting
from streams.kafka.follower import bounds
from streams.kafka.producing import Sender
from streams.kafka.reading import kafka_consumer
from streams.kafka.topics import require_topics
from streams.learning.model_log import SnapshotRefused, Stored, to_records
from streams.learning.restoring import check_start, restore, restore_stored
from streams.learning.snapshots import read_snapshot_log
from streams.learning.transitions import transition_of
from streams.settings import Settings
from streams.wire.record import KafkaRecord

TAIL = 10_000
"""How many transitions at the end of the log are read for the source offsets of learned events.

If a unit was sent twice, both copies are within them.
"""
FEWER = 10
"""A model with this many times fewer items than the one in service is not imported by mistake."""

COLUMNS = ("written", "steps", "next_transition", "bytes", "chunks", "epoch", "state")
"""What `ouzel model inspect` prints of each snapshot."""

models = typer.Typer(no_args_is_help=True, help="Export, import and inspect the model's snapshots.")


def register(app: typer.Typer) -> None:
    app.add_typer(models, name="model")


@models.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The safetensors file to write.")],
    broker: Broker = None,
) -> None:
    """Write the newest usable snapshot in Kafka to a file. Workers may run."""
    settings = settings_with(broker)
    require_writable("FILE", file)
    for stored in _snapshots(settings):
        try:
            data = stored.load(check_start)
            restore(data)
        except SnapshotRefused as error:
            say(f"skipped snapshot {stored.manifest.snapshot}: {error.detail}", err=True)
            continue
        try:
            write_whole(file, data)
        except OSError as error:
            raise CliError(f"{file}: {error.strerror}") from error
        say(f"{file}: {_line(stored)}")
        return
    raise CliError(
        f"topic {settings.topic('model')} has no usable snapshot: a worker writes one every OUZEL_SNAPSHOT_EVERY_S "
        f"({settings.snapshot_every_s:g} s) while it learns"
    )


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `ouzel train` or `ouzel model export` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Import a model that has no items, or far fewer than the one in service.")
    ] = False,
    broker: Broker = None,
) -> None:
    """Write a model from a file to Kafka, as the newest snapshot.

    Stop the workers first; they use the model when they start again.
    The model then learns the transitions that are written after this import.
    """
    settings = settings_with(broker)
    model = read_model(settings, file)
    require_topics(settings, "model", "model-updates", "transitions", "events")
    refuse_while_live(settings)
    if problem := _fewer_items(file, model.vocabulary_size, _items_in_service(settings)):
        if not force:
            error = Refused if model.vocabulary_size else NothingRead
            raise error(f"{problem}; use --force to import it nevertheless")
        say(problem, err=True)
    end, position = learned_until(settings)
    updates = asyncio.run(bounds(settings.topic("model-updates"), aiokafka_config(settings), 0))
    model.reposition(position)
    chunks, last = to_records(
        take(settings.model, model), uuid.uuid4().hex, transitions_offset=end, epoch=0, steps=model.steps,
        created_at=int(time.time() * 1000), updates_offset=updates.stop,
    )  # fmt: skip
    with Sender(settings) as sender:
        for key, value, headers in chunks:
            sender.send(settings.topic("model"), key, value, headers)
        sender.flush()  # the manifest may only follow chunks that are confirmed
        key, value, headers = last
        sender.send(settings.topic("model"), key, value, headers)
    say(f"{settings.topic('model')}: {model.vocabulary_size} items, {model.steps} steps; continues at transition {end}")


@models.command()
def inspect(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A model file; without it, the snapshots in Kafka.")] = None,
    broker: Broker = None,
    json: Json = False,
) -> None:
    """Describe the model in a file, or list the snapshots in Kafka and whether each is usable."""
    if file is not None:
        _inspect_file(file, json)
        return
    snapshots = [_described(stored) for stored in _snapshots(settings_with(broker))]
    if json:
        print_json(snapshots)
        return
    columns = tuple(name.replace("_", " ") for name in COLUMNS)
    rows = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in snapshot.values()] for snapshot in snapshots]
    print_table(columns, rows, numbers=columns[1:-1])


def _described(stored: Stored) -> dict[str, Any]:
    """Describe a snapshot by the names in `COLUMNS`."""
    header = stored.manifest
    try:
        restore_stored(stored)
        state = "usable"
    except SnapshotRefused as error:
        state = f"refused: {error.detail}"
    at = datetime.fromtimestamp(header.created_at / 1000, UTC).isoformat(timespec="seconds")
    values = (at, header.steps, header.transitions_offset, header.bytes, header.chunks, header.epoch, state)
    return dict(zip(COLUMNS, values, strict=True))


def _inspect_file(file: Path, json: bool) -> None:
    header, model, size = read_file(file)
    if json:
        figures = {"items": model.vocabulary_size, "steps": model.steps, "loss": float(model.loss), "bytes": size}
        print_json(
            {"model": header.model, "config": header.config, "version": header.version, "sha256": header.sha256}
            | figures
            | {"position": {str(partition): offset for partition, offset in sorted(model.position.items())}}
        )
        return
    say(f"{header.model} {header.config}, version {header.version}, sha256 {header.sha256}")
    say(f"{model.vocabulary_size} items, {model.steps} steps, loss {model.loss:.3f}, {size:,} bytes")
    say("position: " + (", ".join(f"{p}:{o}" for p, o in sorted(model.position.items())) or "none"))


def _items_in_service(settings: Settings) -> int:
    """Return the number of items of the newest usable snapshot in Kafka; 0 if there is none."""
    for stored in _snapshots(settings):
        with suppress(SnapshotRefused):
            return restore_stored(stored).vocabulary_size
    return 0


def _fewer_items(file: Path, items: int, in_service: int) -> str | None:
    """Return why a model of so many items is probably not the one to import, or ``None``."""
    if not items:
        return f"{file} holds a model without items: it has learned nothing. Check what `ouzel train` skipped"
    if items * FEWER < in_service:
        return f"{file} holds a model of {items} items, fewer than a tenth of the {in_service} in service"
    return None


def learned_until(settings: Settings) -> tuple[int, dict[int, int]]:
    """Return the end of the transitions log, and the highest source offset of each partition.

    The source offsets are those of the last transitions before the end. If the events topic was
    recreated, its offsets began at 0 again. An offset beyond the topic's end is therefore replaced
    by the topic's last offset.
    """
    with connecting(settings):
        consumer = kafka_consumer(settings)
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


def _note(position: dict[int, int], record: KafkaRecord) -> None:
    try:
        transition = transition_of(record)
    except BadData:
        return
    partition = transition.source_partition
    position[partition] = max(transition.source_offset, position.get(partition, -1))


def _snapshots(settings: Settings) -> list[Stored]:
    require_topics(settings, "model")
    snapshots = asyncio.run(read_snapshot_log(settings))
    for record in snapshots.refused:
        say(f"skipped offset {record.offset} of {settings.topic('model')}: {record.why}", err=True)
    return list(snapshots.newest_first())


def _line(stored: Stored) -> str:
    header = stored.manifest
    return f"{header.steps} steps, {header.bytes:,} bytes, continues at transition {header.transitions_offset}"
