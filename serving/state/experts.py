"""The experts of a server. They start from the newest snapshot and then follow the transitions.

They count and rank in a model thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from models.panel import Panel
from models.state import part
from models.transition import Transitions
from serving.state.telemetry import ServingTelemetry
from streams.errors import BadData
from streams.events.records import Transition
from streams.kafka.connection import aiokafka_config
from streams.kafka.decoding import decoded
from streams.kafka.follower import Follower
from streams.kafka.record import KafkaRecord
from streams.learning.model_log import SnapshotRefused
from streams.learning.model_thread import ModelThread
from streams.learning.restoring import read
from streams.learning.snapshots import read_snapshot_log, start_in_log
from streams.learning.steps import add
from streams.settings import Settings

log = structlog.get_logger(__name__)

RECORDS = 500
"""Maximum number of transitions that are counted before a waiting question gets its turn."""
T = TypeVar("T")
_decode = msgspec.json.Decoder(Transition).decode


class Experts:
    """A `Panel`, its thread, and the follower that feeds it. Create it with `restored`.

    The service runs `follower`; requests call `ask`. Both run on one event loop.
    """

    def __init__(self, settings: Settings, telemetry: ServingTelemetry, panel: Panel, start: int | None) -> None:
        self._panel, self._telemetry, self._thread = panel, telemetry, ModelThread()
        self.follower = Follower(
            settings.topic("transitions"), aiokafka_config(settings), self._apply, max_records=RECORDS, start=start
        )

    @classmethod
    async def restored(cls, settings: Settings, telemetry: ServingTelemetry) -> Experts:
        """Restore the counts of the newest snapshot, whatever its model; start empty without one.

        Raises `PositionAhead` if the transitions log was deleted or recreated since the snapshot.
        """
        panel, start = Panel(settings.max_items), None
        for stored in (await read_snapshot_log(settings)).newest_first():
            try:
                data = await asyncio.to_thread(stored.load)
                _, arrays = await asyncio.to_thread(read, data)
            except SnapshotRefused as refused:
                log.warning("snapshot_refused", snapshot=stored.manifest.snapshot, reason=str(refused))
                continue
            memory = part(arrays, "memory")
            if "rows.item" in memory:
                panel = Panel.restored(memory, settings.max_items)
                start = await start_in_log(settings, stored.manifest.transitions_offset)
            break
        experts = cls(settings, telemetry, panel, start)
        await experts.background(panel.warmup)
        return experts

    async def ask(self, question: Callable[[Panel], T]) -> T:
        """Call a function with the panel in the model thread, before any counting that waits."""
        return await self._thread.urgent(partial(question, self._panel))

    async def background(self, job: Callable[[], T]) -> T:
        """Call a function in the model thread, after all questions that wait."""
        return await self._thread.background(job)

    async def _apply(self, records: Sequence[KafkaRecord]) -> None:
        batch = Transitions()
        for record in records:
            try:
                add(batch, decoded(_decode, record.value))
            except BadData:
                log.warning("no_transition", offset=record.offset)
                self._telemetry.refused_records.labels("transitions").inc()
        await self.background(partial(self._panel.follow, batch))
