"""The boundaries of learning steps.

They follow from the transitions log alone, so every replica takes the same steps. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from models.transition import Transitions
from streams.events.records import Transition
from streams.sessions.step import dwell

STEP_MS = 1000
"""A step closes before a transition whose Kafka time is this long after its first, or longer."""


class Steps:
    """Collects transitions into learning steps of at most ``size``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._open = Transitions()
        self._began = 0

    def add(self, transition: Transition, kafka_time: int, offset: int) -> Iterator[tuple[Transitions, int]]:
        """Take the next transition of the log, with its Kafka time in ms and its offset.

        Yields each step that it closes, with the offset at which the next step begins.
        """
        if len(self._open) and kafka_time - self._began >= STEP_MS:
            yield self._close(), offset
        if not len(self._open):
            self._began = kafka_time
        add(self._open, transition)
        if len(self._open) == self._size:
            yield self._close(), offset + 1

    def _close(self) -> Transitions:
        closed, self._open = self._open, Transitions()
        return closed


def add(batch: Transitions, transition: Transition) -> None:
    """Append a transition of the log to a batch."""
    batch.append(
        transition.source_partition,
        transition.source_offset,
        [interaction.item_id for interaction in transition.prefix],
        transition.item_id,
        transition.event_type,
        transition.weight,
        transition.timestamp,
        transition.prefix_length,
        dwell(transition.prefix),
        transition.source_number,
    )
