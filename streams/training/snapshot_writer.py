"""Writes snapshots of the model to Kafka, and deletes what they replace."""

from __future__ import annotations

import asyncio
import time
import uuid

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from models.snapshot import Frozen, encode
from streams.errors import KafkaAway
from streams.kafka.outbox import Outbox, Outgoing
from streams.kafka.topics import admin
from streams.learning.model_log import to_records
from streams.learning.snapshots import Restored
from streams.observing.telemetry import Telemetry
from streams.settings import Settings, SettingsError
from streams.training.sending import Send
from streams.training.training import Point

log = structlog.get_logger(__name__)

KEPT = 2
"""Number of snapshots that stay in the log: an older one, in case the newest is damaged."""


class SnapshotWriter:
    """Writes snapshots, and removes all but the last two.

    ``written_steps`` is the number of learning steps in the last snapshot.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry, send: Send, restored: Restored | None) -> None:
        self._settings, self._telemetry, self._send = settings, telemetry, send
        self._firsts = restored.firsts if restored is not None else []
        self.written_steps = restored.model.steps if restored is not None else 0

    async def write(self, frozen: Frozen, point: Point, epoch: int, updates_offset: int) -> None:
        """Write one snapshot, then remove old ones.

        ``updates_offset`` is an end of `model-updates` from before the model was frozen: it is the
        first update that the snapshot may lack. Call it for one snapshot at a time.
        """
        began = time.monotonic()
        data = await asyncio.to_thread(encode, frozen)
        chunks, last = await asyncio.to_thread(
            to_records, data, uuid.uuid4().hex, transitions_offset=point.offset, epoch=epoch, steps=point.steps,
            created_at=int(time.time() * 1000), updates_offset=updates_offset, thinned=point.thinned,
        )  # fmt: skip
        offsets = [await self._write(record) for record in (*chunks, last)]  # one by one, to hold little memory
        self.written_steps = point.steps
        self._firsts = [*self._firsts, offsets[0]][-KEPT:]
        metrics = self._telemetry.model
        metrics.snapshot_bytes.set(len(data))
        metrics.snapshot_seconds.set(time.monotonic() - began)
        metrics.snapshot_time.set(time.time())
        log.info("snapshot_written", steps=point.steps, transitions_offset=point.offset, bytes=len(data), records=len(offsets))
        await asyncio.to_thread(delete_before, self._settings, self._firsts[0])

    async def _write(self, record: Outgoing) -> int:
        """Send one record, and return its offset."""
        outbox = Outbox()
        outbox.to(self._settings.topic("model"), 0).append(record)
        ((offsets,),) = (await self._send(outbox)).values()
        return offsets.start


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
