"""Thinning: while the trainer is behind, it trains on a share of the learning steps. Pure.

The experts count every transition. The net and the gate train on every second step while more than
``limit`` transitions wait, on every fourth above twice as many, and on every eighth above four
times as many. The share rises again once half of that number waits. The ranges of the log that were
thinned are kept with each snapshot, so that a replay of the log gives the same model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.learning.model_log import MOST_RANGES, ThinnedRange

MOST_HALVINGS = 3
"""At least one step in eight trains."""


class Thinning:
    """Decides for one step after the other whether it trains.

    ``limit`` is a number of transitions; 0 means that every step trains. ``before`` are the ranges
    up to the snapshot that was restored.
    """

    def __init__(self, limit: int, before: Sequence[ThinnedRange] = ()) -> None:
        self._limit, self._closed = limit, list(before)
        self._halvings, self._begin, self._steps = 0, 0, 0
        self.on = False
        """Whether to thin at all: a trainer does not while it catches up, before it publishes."""

    @property
    def share(self) -> float:
        """The share of the steps that train now."""
        return 1 / (1 << self._halvings)

    def trains(self, begin: int, waiting: int) -> bool:
        """Return whether the step at this offset trains, when so many transitions wait."""
        halvings = self._wanted(waiting)
        if halvings != self._halvings:
            self._closed = self.ranges(begin)
            self._halvings, self._begin, self._steps = halvings, begin, 0
        self._steps += 1
        return _trains(self._steps, 1 << self._halvings)

    def ranges(self, until: int) -> list[ThinnedRange]:
        """Return the ranges of the log before ``until`` that were thinned, oldest first."""
        open_range = [ThinnedRange(self._begin, until, 1 << self._halvings)] if self._halvings and until > self._begin else []
        return [*self._closed, *open_range][-MOST_RANGES:]

    def _wanted(self, waiting: int) -> int:
        """How often the share is to be halved."""
        if not (self.on and self._limit):
            return 0
        wanted = sum(waiting > self._limit << halving for halving in range(MOST_HALVINGS))
        if self._halvings > wanted and 2 * waiting > self._limit << (self._halvings - 1):
            return self._halvings  # not yet: otherwise the share would change at every step
        return wanted


class Replayed:
    """Decides as `Thinning` did, from the ``ranges`` that it has kept."""

    def __init__(self, ranges: Iterable[ThinnedRange]) -> None:
        self._ranges = sorted(ranges)
        self._in: ThinnedRange | None = None
        self._steps = 0

    def trains(self, begin: int) -> bool:
        """Return whether the step that began at this offset trained; steps come in order."""
        now = next((found for found in self._ranges if found.begin <= begin < found.end), None)
        if now != self._in:
            self._in, self._steps = now, 0
        self._steps += 1
        return now is None or _trains(self._steps, now.every)


def _trains(step: int, every: int) -> bool:
    """Whether a step of a range trains, numbered from 1."""
    return (step - 1) % every == 0
