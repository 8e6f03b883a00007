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
import structlog

from models.recommender import Query, Ranking, Recommender
from models.snapshot import Frozen, freeze
from models.transition import Transitions
from streams.bounds import RESERVED_ID
from streams.model_thread import ModelThread
from streams.pipeline import ranked_items
from streams.records import Recommendation, Transition
from streams.steps import Steps
from streams.telemetry import Telemetry

POPULAR_KEY = RESERVED_ID.encode()
"""The reserved key on `recommendations` of the ranking for users that nothing is known of."""

log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder(Transition).decode


class Learner:
    """Applies the transitions log to the model, step by step."""

    def __init__(self, name: str, model: Recommender, thread: ModelThread, telemetry: Telemetry, start: int = 0) -> None:
        self._name, self._model = name, model
        self._next = start
        self._thread = thread
        self._telemetry = telemetry
        self._steps = Steps(model.step_size)
        self._tell()

    @property
    def steps(self) -> int:
        """Learning steps taken."""
        return self._model.steps

    async def apply(self, records: Sequence[Any]) -> None:
        """Take the next records of the log; returns when the steps that they close are learned."""
        for record in records:
            try:
                transition = _decode(record.value)
            except (msgspec.DecodeError, TypeError):  # nobody but a journey writes there, so it is nobody's
                log.warning("no_transition", offset=record.offset)
                self._telemetry.refused_transitions.inc()
                continue
            for batch, following in self._steps.add(transition, record.timestamp, record.offset):
                await self._thread.background(partial(self._learn, batch, following))

    async def freeze(self) -> tuple[Frozen, int, int]:
        """A copy of the model between two steps, the steps taken, and the offset of the log at which the next one begins."""
        return await self._thread.background(lambda: (freeze(self._name, self._model), self._model.steps, self._next))

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

    def _learn(self, batch: Transitions, following: int) -> None:
        self._model.learn(batch)
        self._next = following
        self._telemetry.learned.inc(len(batch))
        self._tell()

    def _tell(self) -> None:
        self._telemetry.steps.set(self._model.steps)
        self._telemetry.loss.set(self._model.loss)
        self._telemetry.vocabulary.set(self._model.vocabulary_size)
        self._telemetry.evicted.set(self._model.evicted_items)
        self._telemetry.drifts.set(self._model.drifts)
        self._telemetry.skipped_steps.set(self._model.skipped_steps)
