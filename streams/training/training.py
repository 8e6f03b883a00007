"""The model in training: it learns the transitions log, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from models.recommender import Parameters, Recommender
from models.snapshot import Frozen, freeze
from models.state import State
from models.transition import Transitions
from streams.learning.model_log import ThinnedRange
from streams.learning.model_thread import ModelThread
from streams.learning.step_reader import ClosedStep, StepReader
from streams.observing.telemetry import Telemetry
from streams.settings import Settings
from streams.training.thinning import Thinning


class Point(NamedTuple):
    """A point between two learning steps.

    ``steps`` is the number of steps so far. The next one begins at ``offset`` of the transitions
    log. ``thinned`` are the ranges before it of which not every step trained.
    """

    steps: int
    offset: int
    thinned: Sequence[ThinnedRange]


class Training:
    """A model, its thread, and the reader of the log that feeds it from ``start``.

    ``stepped`` gets the seconds that each step took, on the model thread. ``thinned`` are the
    ranges of the log before ``start`` of which not every step trained.

    Methods run on the event loop; the model is used on the model thread only, between two steps.
    """

    def __init__(
        self, settings: Settings, model: Recommender, thread: ModelThread, telemetry: Telemetry,
        stepped: Callable[[float], None], start: int | None, thinned: Sequence[ThinnedRange] = (),
    ) -> None:  # fmt: skip
        self._name, self._model, self._thread, self._telemetry = settings.model, model, thread, telemetry
        self._stepped = stepped
        self._next = start or 0
        self.thinning = Thinning(settings.thin_above, thinned)
        self.reader = StepReader(settings, model.step_size, start, self._take, telemetry.model.refused_transitions.inc)

    @property
    def model(self) -> Recommender:
        """The model. Once `run` has begun, only the model thread may use it."""
        return self._model

    async def run(self) -> None:
        """Learn until cancelled."""
        await self.reader.follower.run()

    async def freeze(self) -> tuple[Frozen, Point]:
        """Return a copy of the model."""
        return await self._thread.run(lambda: (freeze(self._name, self._model), self._point()))

    async def changes(self, since: int) -> tuple[Parameters, Point, int]:
        """Return what was trained since a mark, as copies, and the next mark.

        See `Recommender.changes`.
        """

        def job() -> tuple[Parameters, Point, int]:
            parameters, mark = self._model.changes(since)
            return parameters, self._point(), mark

        return await self._thread.run(job)

    async def rollback(self, good: State) -> None:
        """Replace the parameters by those of an earlier state."""
        await self._thread.run(lambda: self._model.rollback(good))

    async def _take(self, steps: Sequence[ClosedStep]) -> None:
        waiting = self.reader.follower.lag + sum(len(step.batch) for step in steps)
        for step in steps:  # one by one: parameters are copied between two of them
            learn = self._learn if self.thinning.trains(self._next, waiting) else self._count
            await self._thread.run(partial(learn, *step))
            waiting -= len(step.batch)

    def _learn(self, batch: Transitions, following: int) -> None:
        began = time.perf_counter()
        self._model.learn(batch)
        self._next = following
        self._telemetry.model.learned.inc(len(batch))
        self._stepped(time.perf_counter() - began)

    def _count(self, batch: Transitions, following: int) -> None:
        self._model.follow(batch)
        self._next = following
        self._telemetry.model.thinned.inc(len(batch))

    def _point(self) -> Point:
        return Point(self._model.steps, self._next, self.thinning.ranges(self._next))
