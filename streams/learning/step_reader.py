"""Follows the transitions log, and hands on the learning steps in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from models.transition import Transitions
from streams.errors import BadData
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import Follower
from streams.kafka.refusing import refusing
from streams.learning.steps import Steps
from streams.learning.transitions import transition_of
from streams.settings import Settings
from streams.wire.record import KafkaRecord

RECORDS = 500
"""Most transitions that are taken at once."""


class ClosedStep(NamedTuple):
    """One learning step. ``following`` is the offset of the log at which the next one begins."""

    batch: Transitions
    following: int


class StepReader:
    """Follows the log from ``start``, ``None`` for its beginning, in steps of at most ``size``.

    ``take`` gets the steps that the next records close, in order; never an empty sequence. It
    returns when they are applied. ``refused`` is called for each record that is not a transition.
    ``seen`` is the next offset of the log to read.
    """

    def __init__(
        self, settings: Settings, size: int, start: int | None, take: Callable[[Sequence[ClosedStep]], Awaitable[None]],
        refused: Callable[[], None],
    ) -> None:  # fmt: skip
        self._steps, self._size, self._take, self._refused = Steps(size), size, take, refused
        self.seen = start or 0
        config = aiokafka_config(settings)
        self.follower = Follower(settings.topic("transitions"), config, self.apply, max_records=RECORDS, start=start)

    @property
    def behind(self) -> bool:
        """Whether it is more than 20 learning steps behind the end of the log."""
        return self.follower.lag > 20 * self._size

    async def apply(self, records: Sequence[KafkaRecord]) -> None:
        """Take the next records of the log."""
        closed: list[ClosedStep] = []
        with refusing("no_transitions", self._refused) as refuse:
            for record in records:
                try:
                    transition = transition_of(record)
                except BadData as bad:  # a stray record: only the journey writes to this topic
                    refuse(record, bad)
                else:
                    closed += (ClosedStep(*step) for step in self._steps.add(transition, record.timestamp, record.offset))
        if closed:
            await self._take(closed)
        self.seen = records[-1].offset + 1
