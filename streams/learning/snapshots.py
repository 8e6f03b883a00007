"""Reads the snapshots of the model in Kafka. `streams.training.snapshot_writer` writes them."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import NamedTuple

import structlog

from models.layout import largest_snapshot
from models.recommender import Recommender
from models.snapshot import config_of
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import bounds, records_in
from streams.kafka.positions import PositionAhead
from streams.learning.model import new_model
from streams.learning.model_log import Manifest, SnapshotRefused
from streams.learning.restoring import check_start, read_header, restore
from streams.learning.snapshot_log import RefusedRecord, SnapshotLog
from streams.observing.telemetry import Telemetry
from streams.settings import Settings

log = structlog.get_logger(__name__)


class Restored(NamedTuple):
    """The model of the newest usable snapshot, and its manifest."""

    model: Recommender
    manifest: Manifest
    firsts: list[int]
    """Offsets of the first record of each snapshot up to this one, oldest first."""


async def read_snapshot_log(settings: Settings) -> SnapshotLog:
    """Read every snapshot in the `model` topic.

    Snapshots that are larger than any of `max_items` items are refused.
    """
    topic, config = settings.topic("model"), aiokafka_config(settings)
    snapshots = SnapshotLog(largest_snapshot(settings.max_items))
    async with aclosing(records_in(topic, config, 0, await bounds(topic, config, 0))) as records:
        async for record in records:
            snapshots.add(record)
    return snapshots


async def restore_newest(settings: Settings, fresh: Recommender, telemetry: Telemetry) -> Restored | None:
    """Restore the newest usable snapshot of the same method and options as ``fresh``, if any.

    Snapshots that cannot be used are logged, counted and skipped.
    """
    return await restore_from(await read_snapshot_log(settings), settings, fresh, telemetry)


async def restore_from(snapshots: SnapshotLog, settings: Settings, fresh: Recommender, telemetry: Telemetry) -> Restored | None:
    """Do what `restore_newest` does, with snapshots that were read before."""
    newest_first = list(snapshots.newest_first())
    refused = list(snapshots.refused)
    restored = None

    def check(start: bytes, size: int) -> None:
        header = read_header(start)
        if (header.model, header.config) != (settings.model, config_of(fresh)):
            raise SnapshotRefused("other_model", f"it is of another model, {header.model} {header.config}")
        check_start(start, size)

    for place, snapshot in enumerate(newest_first):
        try:
            data = await asyncio.to_thread(snapshot.load, check)
            model = await asyncio.to_thread(restore, data)
        except SnapshotRefused as error:
            refused.append(RefusedRecord(snapshot.last, f"snapshot {snapshot.manifest.snapshot}: {error}"))
            continue
        firsts = [older.first for older in newest_first[place:][::-1]]
        restored = Restored(model, snapshot.manifest, firsts)
        telemetry.model.snapshot_time.set(snapshot.manifest.created_at / 1000)
        telemetry.model.snapshot_bytes.set(len(data))
        break
    for record in refused:
        log_refused(settings, record)
        telemetry.model.refused_snapshots.inc()
    return restored


def log_refused(settings: Settings, record: RefusedRecord) -> None:
    """Log that a record of the `model` topic, or the snapshot that it ends, is not used."""
    log.warning("snapshot_refused", topic=settings.topic("model"), partition=0, offset=record.offset, reason=record.why)


async def position_to_start(settings: Settings, restored: Restored | None) -> int | None:
    """Return the offset of the transitions log to start at; ``None`` is its beginning.

    Raises `PositionAhead` if the log ends before the snapshot's offset.
    """
    return None if restored is None else await start_in_log(settings, restored.manifest.transitions_offset)


async def start_in_log(settings: Settings, start: int) -> int:
    """Return the offset of the transitions log to start at: ``start`` or, if later, its first one.

    Raises `PositionAhead` if the log ends before ``start``.
    """
    topic = settings.topic("transitions")
    offsets = await bounds(topic, aiokafka_config(settings), 0)
    if start > offsets.stop and settings.idempotent:  # the embedded broker reports a wrong end
        raise PositionAhead(
            f"{topic}: the model's snapshot continues at offset {start}, but the log ends at {offsets.stop}: the topic was "
            "deleted or recreated. To use the model at the present end, run `ouzel model export`, then `ouzel model import`"
        )
    if start < offsets.start:
        log.warning("transitions_lost", first=start, count=offsets.start - start)
        return offsets.start
    return start


def model_name(settings: Settings) -> str:
    """Return the name of the model in updates: its method and options."""
    return json.dumps([settings.model, config_of(new_model(settings))], sort_keys=True)
