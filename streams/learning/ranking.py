"""Ranking for the journey: on the model's thread, and without hidden items."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from models.recommender import Query, QueryLike, Ranking
from streams.learning.model_thread import ModelThread
from streams.learning.replica import Replica
from streams.observing.accuracy import CUT
from streams.observing.telemetry import Telemetry


class ThreadRanker:
    """`streams.pipeline.Ranker` with the replica's model, on the model thread.

    ``hidden`` returns the items that must not be shown now.
    """

    def __init__(self, replica: Replica, thread: ModelThread, hidden: Callable[[], frozenset[str]], telemetry: Telemetry) -> None:
        self._replica = replica
        self._thread = thread
        self._hidden = hidden
        self._telemetry = telemetry

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """Return the rankings, the most popular items, and the model's version.

        A query without a prefix is added to the batch: its ranking is the most popular items.
        """
        if not queries:
            return [], [], 0
        batch: list[QueryLike] = [*queries, Query(())]
        hidden = self._hidden()

        def job() -> tuple[list[Ranking], Sequence[str], int]:
            model, began = self._replica.model, time.perf_counter()
            rankings = model.rank(batch, k, hidden)
            self._telemetry.ranking.inc(time.perf_counter() - began)
            return rankings[:-1], rankings[-1].items[:CUT], model.steps

        return await self._thread.run(job)
