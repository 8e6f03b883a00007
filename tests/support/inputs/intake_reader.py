"""The intake as a reader of a source topic, without a broker."""

from __future__ import annotations

from typing import Any

from support.inputs.records import NOW
from support.inputs.worker_readers import Reader

from streams.events.decode import EventDecoder
from streams.intake.rekeying import Rekeying, Target, Unit
from streams.wire.record import Record


class Intake(Reader):
    """What the intake writes of each record; its dead letters are its refusals."""

    def __init__(self) -> None:
        target = Target("ouzel.events", "ouzel.dead-letters", 4, lambda key: len(key) % 4, retention_ms=86_400_000)
        self._rekeying, self._unit = Rekeying({"events": EventDecoder()}, target), Unit()

    async def take(self, record: Record) -> None:
        self._rekeying.add(self._unit, record, NOW)

    @property
    def refused(self) -> float:
        return sum(self._unit.rejected.values())

    @property
    def state(self) -> Any:
        return {where: list(records) for where, records in self._unit.events.items()}
