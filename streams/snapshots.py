"""Snapshots of the model in Kafka: the newest whole one is read at start, and the elected learner writes new ones."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from models.recommender import Recommender
from models.snapshot import SnapshotError, config_of, encode, manifest, restore
from streams.delivery.outbox import Abandoned, Delivery, Outbox, Outgoing
from streams.engine.positions import PositionAhead
from streams.follower import bounds, read_range
from streams.kafka import aiokafka_config
from streams.learner import Learner
from streams.model_log import Shelf, SnapshotRefused, to_records
from streams.settings import Settings
from streams.telemetry import Telemetry
from streams.topics import admin

log = structlog.get_logger(__name__)

KEPT = 2
"""Snapshots that stay: the newest, and the one before it in case that the newest cannot be read."""


class Restored(NamedTuple):
    """The model of the newest snapshot that can be used; ``start`` is the next offset of the transitions log to learn."""

    model: Recommender
    start: int
    firsts: list[int]
    """Offsets of the first records of the snapshots in the log, this one's last."""


async def read_shelf(settings: Settings) -> Shelf:
    """Every snapshot that the log holds."""
    topic, config = settings.topic("model"), aiokafka_config(settings)
    shelf = Shelf()
    for record in await read_range(topic, config, 0, await bounds(topic, config, 0)):
        shelf.add(record)
    return shelf


async def restore_newest(settings: Settings, fresh: Recommender, telemetry: Telemetry) -> Restored | None:
    """The newest snapshot of such a model as ``fresh``; one that cannot be used is told, counted and passed over."""
    shelf = await read_shelf(settings)
    stored = list(shelf.newest_first())
    refused = list(shelf.refused)
    found = None
    for place, snapshot in enumerate(stored):
        try:
            data = await asyncio.to_thread(snapshot.load)
            told = manifest(data)
            if (told.model, told.config) != (settings.model, config_of(fresh)):
                raise SnapshotRefused(f"it is of another model, {told.model} {told.config}")
            model = await asyncio.to_thread(restore, data)
        except (SnapshotRefused, SnapshotError) as error:
            refused.append(f"snapshot {snapshot.manifest.snapshot}: {error}")
            continue
        firsts = [older.first for older in stored[place:][::-1]]
        found = Restored(model, snapshot.manifest.transitions_offset, firsts)
        break
    for reason in refused:
        log.warning("snapshot_refused", reason=reason)
        telemetry.refused_snapshots.inc()
    return found


async def position_to_start(settings: Settings, restored: Restored | None) -> int | None:
    """Where to go on in the transitions log. Raises `PositionAhead` where it ends before the snapshot's position."""
    if restored is None:
        return None
    topic = settings.topic("transitions")
    held = await bounds(topic, aiokafka_config(settings), 0)
    if restored.start > held.stop and settings.idempotent:  # the embedded broker tells the end of a log wrong
        raise PositionAhead(
            f"{topic}: the model's snapshot goes on at offset {restored.start}, but the log ends at {held.stop}: the topic was "
            "deleted or made anew. `ouzel model export` and `import` put the model in service at the present end"
        )
    if restored.start < held.start:
        log.warning("transitions_lost", first=restored.start, count=held.start - restored.start)
        return held.start
    return restored.start


class SnapshotWriter:
    """Writes a snapshot every so often while this worker is the learner, and removes those before the last two."""

    def __init__(
        self, settings: Settings, learner: Learner, telemetry: Telemetry, delivery: Delivery, generation: Callable[[], int],
        elected: Callable[[], bool], firsts: list[int],
    ) -> None:  # fmt: skip
        self._settings, self._learner, self._telemetry = settings, learner, telemetry
        self._delivery, self._generation, self._elected = delivery, generation, elected
        self._firsts = firsts
        self._written_steps = learner.steps if firsts else 0

    async def run(self) -> None:
        """For ever; an abandoned snapshot is written anew at the next turn."""
        while True:
            await asyncio.sleep(self._settings.snapshot_every_s)
            if not self._elected() or self._learner.steps == self._written_steps:
                continue
            try:
                await self.write()
            except Abandoned:
                log.info("snapshot_abandoned")

    async def write(self) -> None:
        """Write one snapshot."""
        began, generation = time.monotonic(), self._generation()
        frozen, steps, offset = await self._learner.freeze()
        data = await asyncio.to_thread(encode, frozen)
        chunks, last = await asyncio.to_thread(
            to_records, data, uuid.uuid4().hex, transitions_offset=offset, epoch=generation, steps=steps,
            created_at=int(time.time() * 1000),
        )  # fmt: skip
        first = None
        for record in (*chunks, last):  # one by one, so that rankings need not wait for all of it
            at = await self._send(record, generation)
            first = at if first is None else first
        assert first is not None
        self._written_steps = steps
        self._firsts = [*self._firsts, first][-KEPT:]
        self._telemetry.snapshot_bytes.set(len(data))
        self._telemetry.snapshot_seconds.set(time.monotonic() - began)
        self._telemetry.snapshot_time.set(time.time())
        log.info("snapshot_written", steps=steps, transitions_offset=offset, bytes=len(data), records=len(chunks) + 1)
        await asyncio.to_thread(delete_before, self._settings, self._firsts[0])

    async def _send(self, record: Outgoing, generation: int) -> int:
        outbox = Outbox()
        outbox.to(self._settings.topic("model"), 0).append(record)
        placed = await self._delivery.deliver(Outbox(), outbox, generation)
        return placed[0][0].start


def delete_before(settings: Settings, offset: int) -> None:
    """Remove the records of the model topic before an offset; a broker that cannot keeps them."""
    client: Any = admin(settings)
    try:
        client.delete_records({TopicPartition(settings.topic("model"), 0): offset})
    except KafkaError as error:
        log.warning("snapshots_kept", reason=type(error).__name__)
    finally:
        client.close()
