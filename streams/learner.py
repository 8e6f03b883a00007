"""Learning from the transitions log.

Until models travel as updates (a later version), every worker is a whole replica: it takes the same steps over the same log,
so all of them rank alike. The elected learner differs in what it publishes: the ranking for cold users.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from models.recommender import Query, Ranking, Recommender
from models.transition import Transitions
from streams.model_thread import ModelThread
from streams.pipeline import ranked_items
from streams.records import Recommendation, Transition
from streams.steps import Steps
from streams.telemetry import Telemetry

POPULAR_KEY = b"__popular__"
"""The reserved key on `recommendations` of the ranking for users that nothing is known of."""

_decode = msgspec.json.Decoder(Transition).decode


class Learner:
    """Applies the transitions log to the model, step by step."""

    def __init__(self, model: Recommender, thread: ModelThread, telemetry: Telemetry) -> None:
        self._model = model
        self._thread = thread
        self._telemetry = telemetry
        self._steps = Steps(model.step_size)

    async def apply(self, records: Sequence[Any]) -> None:
        """Take the next records of the log; returns when the steps that they close are learned."""
        for record in records:
            for batch in self._steps.add(_decode(record.value), record.timestamp):
                await self._thread.background(partial(self._learn, batch))

    async def popular(self, k: int, hidden: frozenset[str], now: Callable[[], float] = time.time) -> bytes:
        """The recommendation for cold users, encoded."""
        ranking: Ranking = await self._thread.urgent(lambda: self._model.rank([Query(())], k, hidden)[0])
        at = int(now() * 1000)
        return msgspec.json.encode(
            Recommendation(
                recommendation_id=f"popular-{at}",
                user_id=None,
                session_id=None,
                generated_at=at,
                trigger_event_id="",
                trigger_offset=-1,
                model_version=self._model.steps,
                strategy=ranking.strategy,
                prefix=[],
                items=ranked_items(ranking),
                took_ms=0.0,
            )
        )

    def _learn(self, batch: Transitions) -> None:
        self._model.learn(batch)
        self._telemetry.learned.inc(len(batch))
        self._telemetry.steps.set(self._model.steps)
        self._telemetry.loss.set(self._model.loss)
        self._telemetry.vocabulary.set(self._model.vocabulary_size)
        self._telemetry.evicted.set(self._model.evicted_items)
        self._telemetry.drifts.set(self._model.drifts)
        self._telemetry.skipped_steps.set(self._model.skipped_steps)
