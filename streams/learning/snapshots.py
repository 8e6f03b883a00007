"""Snapshots of the model in Kafka: a worker reads the newest at start, the learner writes more."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import aclosing
from typing import NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from models.layout import largest_snapshot
from models.recommender import Recommender
from models.snapshot import Frozen, config_of, encode
from streams.delivery.publisher import Publisher
from streams.errors import KafkaAway
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import bounds, records_in
from streams.kafka.outbox import Outbox, Outgoing
from streams.kafka.positions import PositionAhead
from streams.kafka.topics import admin
from streams.learning.model import new_model
from streams.learning.model_log import Manifest, SnapshotRefused, to_records
from streams.learning.replica import Point
from streams.learning.restoring import check_start, read_header, restore
from streams.learning.snapshot_log import RefusedRecord, SnapshotLog
from streams.observing.telemetry import Telemetry
from streams.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

KEPT = 2
"""Number of snapshots that stay in the log: an older one, in case the newest is damaged."""


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


class SnapshotWriter:
    """Writes snapshots, and removes all but the last two.

    ``written_steps`` is the number of learning steps in the last snapshot.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry, publisher: Publisher) -> None:
        self._settings, self._telemetry, self._publisher = settings, telemetry, publisher
        self._firsts: list[int] = []
        self.written_steps = 0

    def start_after(self, restored: Restored | None) -> None:
        """Start after the snapshot that was restored, if any."""
        self._firsts = restored.firsts if restored is not None else []
        self.written_steps = restored.model.steps if restored is not None else 0

    async def write(self, frozen: Frozen, point: Point, epoch: int, generation: int) -> None:
        """Write one snapshot, then remove old ones.

        ``generation`` is the group's: raises `Abandoned` if it has changed. No update may be
        published meanwhile, as the snapshot names the first update that it may lack.
        """
        began, settings = time.monotonic(), self._settings
        updates = await bounds(settings.topic("model-updates"), aiokafka_config(settings), 0)
        data = await asyncio.to_thread(encode, frozen)
        chunks, last = await asyncio.to_thread(
            to_records, data, uuid.uuid4().hex, transitions_offset=point.offset, epoch=epoch, steps=point.steps,
            created_at=int(time.time() * 1000), updates_offset=updates.stop,
        )  # fmt: skip
        first = None
        for record in (*chunks, last):  # one by one, so that recommendations need not wait for all
            offset = await self._send(record, generation)
            first = offset if first is None else first
        assert first is not None
        self.written_steps = point.steps
        self._firsts = [*self._firsts, first][-KEPT:]
        metrics = self._telemetry.model
        metrics.snapshot_bytes.set(len(data))
        metrics.snapshot_seconds.set(time.monotonic() - began)
        metrics.snapshot_time.set(time.time())
        log.info("snapshot_written", steps=point.steps, transitions_offset=point.offset, bytes=len(data), records=len(chunks) + 1)
        await asyncio.to_thread(delete_before, self._settings, self._firsts[0])

    async def _send(self, record: Outgoing, generation: int) -> int:
        """Send one record, and return its offset."""
        outbox = Outbox()
        outbox.to(self._settings.topic("model"), 0).append(record)
        ((offsets,),) = (await self._publisher.publish(outbox, generation)).values()
        return offsets.start


def model_name(settings: Settings) -> str:
    """Return the name of the model in updates: its method and options."""
    return json.dumps([settings.model, config_of(new_model(settings))], sort_keys=True)


def delete_before(settings: Settings, offset: int) -> None:
    """Delete the records of the model topic before an offset. If that fails, they stay."""
    try:
        client = admin(settings)
        try:
            client.delete_records({TopicPartition(settings.topic("model"), 0): offset})
        finally:
            client.close()
    except (KafkaError, KafkaAway, SettingsError) as error:  # a certificate or a secret may have changed since the start
        log.warning("snapshots_kept", reason=type(error).__name__)
