"""The replica of the model that ranks. It follows the transitions log, and never trains.

Its counts are a function of the log alone. It takes the parameters from the trainer: see `updates`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from models.recommender import Parameters, Query, Ranking, Recommender
from streams.events.records import Recommendation, ranked_items
from streams.learning.model_thread import ModelThread
from streams.learning.step_reader import ClosedStep, StepReader
from streams.observing.telemetry import Telemetry
from streams.settings import Settings


class Replica:
    """One model, and the reader of the log that feeds it from ``start``.

    Methods run on the event loop; the model is used on the model thread only. ``epoch`` is the
    highest one of a trainer that this replica has taken parameters of.
    """

    def __init__(
        self, settings: Settings, model: Recommender, thread: ModelThread, telemetry: Telemetry, start: int | None = None
    ) -> None:
        self._model, self._thread, self._telemetry = model, thread, telemetry
        self.reader = StepReader(settings, model.step_size, start, self._follow, telemetry.model.refused_transitions.inc)
        self.epoch = 0
        self._report()

    @property
    def model(self) -> Recommender:
        """The model. Once `run` has begun, only the model thread may use it."""
        return self._model

    @property
    def lag(self) -> int:
        """Transitions in the log that it has not applied yet."""
        return self.reader.follower.lag

    async def run(self) -> None:
        """Follow the log until cancelled."""
        await self.reader.follower.run()

    async def take(self, parameters: Parameters) -> None:
        """Replace the parameters by the trainer's."""
        await self._thread.run(lambda: self._model.apply(parameters))
        self._report()

    async def head(self, share: float) -> frozenset[str]:
        """Return the popular items: see `Recommender.head`."""
        return await self._thread.run(lambda: self._model.head(share))

    async def popular(self, k: int, hidden: frozenset[str], now: Callable[[], float] = time.time) -> bytes:
        """Return the encoded recommendation for users without history."""

        def job() -> tuple[Ranking, int]:
            return self._model.rank([Query(())], k, hidden)[0], self._model.steps

        ranking, version = await self._thread.run(job)
        at = int(now() * 1000)
        return msgspec.json.encode(
            Recommendation(
                recommendation_id=f"popular-{at}",
                user_id=None,
                session_id=None,
                generated_at=at,
                trigger_event_id="",
                trigger_offset=-1,
                model_version=version,
                strategy=ranking.strategy,
                prefix=[],
                items=ranked_items(ranking),
                took_ms=0.0,
            )
        )

    async def _follow(self, steps: Sequence[ClosedStep]) -> None:
        await self._thread.run(partial(self._count, steps))

    def _count(self, steps: Sequence[ClosedStep]) -> None:
        began = time.perf_counter()
        for batch, _ in steps:
            self._model.follow(batch)
            self._telemetry.model.followed.inc(len(batch))
        self._telemetry.following.inc(time.perf_counter() - began)
        self._report()

    def _report(self) -> None:
        self._telemetry.set_model(self._model)
