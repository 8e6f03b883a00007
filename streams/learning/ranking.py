"""Ranking for the journey: the model on its thread, with what the catalogue hides left out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from models.recommender import Query, QueryLike, Ranking
from streams.events.catalogue import Catalogue
from streams.learning.model_thread import ModelThread
from streams.learning.replica import ActiveReplica
from streams.observing.accuracy import CUT
from streams.observing.telemetry import Telemetry


class ThreadRanker:
    """Ranks in the model thread."""

    def __init__(self, active: ActiveReplica, thread: ModelThread, catalogue: Catalogue, telemetry: Telemetry) -> None:
        self._active = active
        self._thread = thread
        self._catalogue = catalogue
        self._telemetry = telemetry

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """The rankings, the most popular items beside them, and the model's version."""
        if not queries:
            return [], [], 0
        asked: list[QueryLike] = [*queries, Query(())]
        hidden = frozenset(self._catalogue.hidden)

        def job() -> tuple[list[Ranking], Sequence[str], int]:
            model, began = self._active.replica.model, time.perf_counter()
            rankings = model.rank(asked, k, hidden)
            self._telemetry.ranking.inc(time.perf_counter() - began)
            return rankings[:-1], rankings[-1].items[:CUT], model.steps

        return await self._thread.urgent(job)
