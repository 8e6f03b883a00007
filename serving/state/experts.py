"""The experts of a serving process: restored from the newest snapshot, following the transitions, ranking in the model thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

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
from streams.learning.model_log import SnapshotRefused
from streams.learning.model_thread import ModelThread
from streams.learning.restoring import read
from streams.learning.snapshots import read_snapshot_log, start_in_log
from streams.learning.steps import add
from streams.settings import Settings

log = structlog.get_logger(__name__)

RECORDS = 500
T = TypeVar("T")
_decode = msgspec.json.Decoder(Transition).decode


class Experts:
    """A `Panel` and what feeds it. Make it with `restored`."""

    def __init__(self, settings: Settings, telemetry: ServingTelemetry, panel: Panel, start: int | None) -> None:
        self._panel, self._telemetry, self._thread = panel, telemetry, ModelThread()
        self.follower = Follower(
            settings.topic("transitions"), aiokafka_config(settings), self._apply, max_records=RECORDS, start=start
        )

    @classmethod
    async def restored(cls, settings: Settings, telemetry: ServingTelemetry) -> Experts:
        """As the newest snapshot has them, of whichever model, or empty. Raises `PositionAhead` where the log was made anew."""
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
        made = cls(settings, telemetry, panel, start)
        await made.background(panel.warmup)
        return made

    async def ask(self, question: Callable[[Panel], T]) -> T:
        """What the experts say, before any counting that waits."""
        return await self._thread.urgent(partial(question, self._panel))

    async def background(self, job: Callable[[], T]) -> T:
        """Run on the thread that owns the panel."""
        return await self._thread.background(job)

    def stop(self) -> None:
        """End the thread."""
        self._thread.stop()

    async def _apply(self, records: Sequence[Any]) -> None:
        batch = Transitions()
        for record in records:
            try:
                add(batch, decoded(_decode, record.value))
            except BadData:
                log.warning("no_transition", offset=record.offset)
                self._telemetry.refused_records.labels("transitions").inc()
        await self.background(partial(self._panel.follow, batch))
