"""The follower of `model-updates`: it brings the learner's parameters into the replica that ranks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from streams.errors import BadData
from streams.kafka.follower import Follower
from streams.learning.model_updates import Update, from_record
from streams.learning.replica import ActiveReplica
from streams.observing.telemetry import Telemetry

log = structlog.get_logger(__name__)

POLL_S = 0.02


class Updates:
    """Applies the updates of the highest epoch seen. ``model`` is what `model_updates` calls the model."""

    def __init__(
        self, topic: str, config: Mapping[str, Any], active: ActiveReplica, telemetry: Telemetry, model: str, *, start: int = 0
    ) -> None:
        self._active, self._telemetry, self._model = active, telemetry, model
        self.follower = Follower(topic, config, self.apply, max_records=20, start=start)

    async def apply(self, records: Sequence[Any]) -> None:
        """Take the next records of the topic."""
        for record in records:
            try:
                update, parameters = from_record(record.value, self._model)
                if update.epoch < self._active.epoch:
                    self._telemetry.model.ignored_updates.inc()
                    continue
                self._active.epoch = update.epoch
                await self._reached(update)
                if not self._active.replica.learning:
                    await self._active.replica.take(parameters)
                    self._telemetry.parameters_taken(record.timestamp / 1000, time.time())
            except (BadData, ValueError) as refused:
                log.warning("update_refused", offset=record.offset, reason=str(refused))
                self._telemetry.model.refused_updates.inc()

    async def _reached(self, update: Update) -> None:
        """Until the replica has counted what the learner had learned: else it would not know the newest items."""
        while True:
            replica = self._active.replica
            at_the_end = replica.follower.caught_up.is_set() and replica.follower.lag == 0
            if replica.learning or replica.seen >= update.offset or at_the_end:
                return
            await asyncio.sleep(POLL_S)
