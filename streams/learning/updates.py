"""The follower of `model-updates`: it gives the learner's parameters to the replica that ranks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from streams.errors import BadData
from streams.kafka.follower import Follower
from streams.kafka.record import KafkaRecord
from streams.learning.model_updates import Update, from_record
from streams.learning.replica import ActiveReplica
from streams.observing.telemetry import Telemetry

log = structlog.get_logger(__name__)

POLL_S = 0.02


class Updates:
    """Applies the updates of the highest epoch seen. ``model`` is the model's name in updates."""

    def __init__(
        self, topic: str, config: Mapping[str, object], active: ActiveReplica, telemetry: Telemetry, model: str, *, start: int = 0
    ) -> None:
        self._active, self._telemetry, self._model = active, telemetry, model
        self.follower = Follower(topic, config, self.apply, max_records=20, start=start)

    async def apply(self, records: Sequence[KafkaRecord]) -> None:
        """Take the next records of the topic.

        Records that are not updates are logged and counted.
        """
        for record in records:
            try:
                update, parameters = from_record(record.value, self._model)
                if update.epoch < self._active.epoch:
                    self._telemetry.model.ignored_updates.inc()
                    continue
                self._active.epoch = update.epoch
                await self._wait_for_items(update)
                if not self._active.replica.learning:
                    await self._active.replica.take(parameters)
                    self._telemetry.parameters_taken(record.timestamp / 1000, time.time())
            except (BadData, ValueError) as refused:
                log.warning("update_refused", offset=record.offset, reason=str(refused))
                self._telemetry.model.refused_updates.inc()

    async def _wait_for_items(self, update: Update) -> None:
        """Wait until the replica has counted every transition that the learner had learned.

        Before that, the replica does not know the newest items. At the end of its log it does not
        wait: if an update is beyond that end, the topic was recreated.
        """
        while True:
            replica = self._active.replica
            at_the_end = replica.follower.caught_up.is_set() and replica.follower.lag == 0
            if replica.learning or replica.seen >= update.offset or at_the_end:
                return
            await asyncio.sleep(POLL_S)
