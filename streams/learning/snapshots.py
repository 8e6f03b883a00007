"""Snapshots of the model in Kafka: the newest whole one is read at start, and the elected learner writes new ones."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any, NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from models.recommender import Recommender
from models.snapshot import Frozen, config_of, encode
from streams.delivery.publisher import Publisher
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import bounds, read_range
from streams.kafka.outbox import Outbox, Outgoing
from streams.kafka.positions import PositionAhead
from streams.kafka.topics import admin
from streams.learning.model import new_model
from streams.learning.model_log import Manifest, SnapshotLog, SnapshotRefused, to_records
from streams.learning.replica import Point
from streams.learning.restoring import manifest, restore
from streams.observing.telemetry import Telemetry
from streams.settings import Settings

log = structlog.get_logger(__name__)

KEPT = 2
"""Snapshots that stay: the newest, and the one before it in case that the newest cannot be read."""


class Restored(NamedTuple):
    """The model of the newest snapshot that can be used, and what the log says of it."""

    model: Recommender
    manifest: Manifest
    firsts: list[int]
    """Offsets of the first records of the snapshots in the log, this one's last."""


async def read_snapshot_log(settings: Settings) -> SnapshotLog:
    """Every snapshot that the log holds."""
    topic, config = settings.topic("model"), aiokafka_config(settings)
    shelf = SnapshotLog()
    for record in await read_range(topic, config, 0, await bounds(topic, config, 0)):
        shelf.add(record)
    return shelf


async def restore_newest(settings: Settings, fresh: Recommender, telemetry: Telemetry) -> Restored | None:
    """The newest snapshot of such a model as ``fresh``; one that cannot be used is told, counted and passed over."""
    shelf = await read_snapshot_log(settings)
    stored = list(shelf.newest_first())
    refused = list(shelf.refused)
    found = None
    for place, snapshot in enumerate(stored):
        try:
            data = await asyncio.to_thread(snapshot.load)
            told = manifest(data)
            if (told.model, told.config) != (settings.model, config_of(fresh)):
                raise SnapshotRefused("other_model", f"it is of another model, {told.model} {told.config}")
            model = await asyncio.to_thread(restore, data)
        except SnapshotRefused as error:
            refused.append(f"snapshot {snapshot.manifest.snapshot}: {error}")
            continue
        firsts = [older.first for older in stored[place:][::-1]]
        found = Restored(model, snapshot.manifest, firsts)
        telemetry.model.snapshot_time.set(snapshot.manifest.created_at / 1000)
        telemetry.model.snapshot_bytes.set(len(data))
        break
    for reason in refused:
        log.warning("snapshot_refused", reason=reason)
        telemetry.model.refused_snapshots.inc()
    return found


async def position_to_start(settings: Settings, restored: Restored | None) -> int | None:
    """Where to go on in the transitions log. Raises `PositionAhead` where it ends before the snapshot's position."""
    return None if restored is None else await start_in_log(settings, restored.manifest.transitions_offset)


async def start_in_log(settings: Settings, start: int) -> int:
    """Where to go on in the transitions log that was read before ``start``. Raises `PositionAhead` where it ends before."""
    topic = settings.topic("transitions")
    held = await bounds(topic, aiokafka_config(settings), 0)
    if start > held.stop and settings.idempotent:  # the embedded broker tells the end of a log wrong
        raise PositionAhead(
            f"{topic}: the model's snapshot goes on at offset {start}, but the log ends at {held.stop}: the topic was "
            "deleted or made anew. `ouzel model export` and `import` put the model in service at the present end"
        )
    if start < held.start:
        log.warning("transitions_lost", first=start, count=held.start - start)
        return held.start
    return start


class SnapshotWriter:
    """Writes snapshots, and removes those before the last two. ``written_steps`` are those of the last one."""

    def __init__(self, settings: Settings, telemetry: Telemetry, publisher: Publisher) -> None:
        self._settings, self._telemetry, self._publisher = settings, telemetry, publisher
        self._firsts: list[int] = []
        self.written_steps = 0

    def found(self, restored: Restored | None) -> None:
        """Go on from what the log holds."""
        self._firsts = restored.firsts if restored is not None else []
        self.written_steps = restored.model.steps if restored is not None else 0

    async def write(self, frozen: Frozen, point: Point, epoch: int, generation: int) -> None:
        """Write one snapshot of this epoch, while the group's generation is this one. No update may be published meanwhile."""
        began, settings = time.monotonic(), self._settings
        updates = await bounds(settings.topic("model-updates"), aiokafka_config(settings), 0)
        data = await asyncio.to_thread(encode, frozen)
        chunks, last = await asyncio.to_thread(
            to_records, data, uuid.uuid4().hex, transitions_offset=point.offset, epoch=epoch, steps=point.steps,
            created_at=int(time.time() * 1000), updates_offset=updates.stop,
        )  # fmt: skip
        first = None
        for record in (*chunks, last):  # one by one, so that rankings need not wait for all of it
            at = await self._send(record, generation)
            first = at if first is None else first
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
        outbox = Outbox()
        outbox.to(self._settings.topic("model"), 0).append(record)
        ((placed,),) = (await self._publisher.publish(outbox, generation)).values()
        return placed.start


def model_name(settings: Settings) -> str:
    """What updates call the model: its method and options."""
    return json.dumps([settings.model, config_of(new_model(settings))], sort_keys=True)


def delete_before(settings: Settings, offset: int) -> None:
    """Remove the records of the model topic before an offset; a broker that cannot keeps them."""
    client: Any = admin(settings)
    try:
        client.delete_records({TopicPartition(settings.topic("model"), 0): offset})
    except KafkaError as error:
        log.warning("snapshots_kept", reason=type(error).__name__)
    finally:
        client.close()
