"""The follower of `model-updates`: it gives the trainer's parameters to the replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from streams.errors import BadData
from streams.kafka.follower import Follower
from streams.kafka.refusing import refusing
from streams.learning.model_updates import Update, from_record
from streams.learning.replica import Replica
from streams.observing.telemetry import Telemetry
from streams.wire.record import KafkaRecord

POLL_S = 0.02
MAX_LEAP = 2**32
"""How far an epoch may be above the highest one known.

A trainer adds the group's generation, which has 31 bits. A much higher epoch is no trainer's: if it
were believed, every trainer after it would have to exceed it.
"""


class Updates:
    """Applies the updates of the highest epoch seen. ``model`` is the model's name in updates."""

    def __init__(
        self, topic: str, config: Mapping[str, object], replica: Replica, telemetry: Telemetry, model: str, *, start: int = 0
    ) -> None:
        self._replica, self._telemetry, self._model = replica, telemetry, model
        self.follower = Follower(topic, config, self.apply, max_records=20, start=start)

    async def apply(self, records: Sequence[KafkaRecord]) -> None:
        """Take the next records of the topic.

        Records that are not updates are logged and counted.
        """
        with refusing("updates_refused", self._telemetry.model.refused_updates.inc) as refuse:
            for record in records:
                try:
                    await self._apply(record)
                except BadData as bad:
                    refuse(record, bad)

    async def _apply(self, record: KafkaRecord) -> None:
        """Take one record. Raises `BadData` if it is not an update of this model."""
        update, parameters = from_record(record.value, self._model)
        if update.epoch < self._replica.epoch:
            self._telemetry.model.ignored_updates.inc()
            return
        if update.epoch - self._replica.epoch > MAX_LEAP:
            raise BadData("epoch_ahead", f"epoch {update.epoch}, the highest one so far is {self._replica.epoch}")
        await self._wait_for_items(update)
        try:
            await self._replica.take(parameters)
        except ValueError as error:  # a block or row of another length
            raise BadData("wrong_shape", str(error)) from error
        self._telemetry.parameters_taken(record.timestamp / 1000, time.time())
        self._replica.epoch = update.epoch

    async def _wait_for_items(self, update: Update) -> None:
        """Wait until the replica has counted every transition that the trainer had learned.

        Before that, the replica does not know the newest items. The trainer had read no further
        than the present end of the log, so that end is far enough: if an update names an offset
        beyond it, the topic was recreated, or the offset is wrong.
        """
        end: int | None = None
        reader = self._replica.reader
        while True:
            if end is None and reader.follower.caught_up.is_set():
                end = reader.seen + reader.follower.lag
            if reader.seen >= update.offset or (end is not None and reader.seen >= end):
                return
            await asyncio.sleep(POLL_S)
