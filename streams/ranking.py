"""Ranking for the journey: the model on its thread, with what the catalogue hides left out."""

from __future__ import annotations

from collections.abc import Sequence

from models.recommender import Query, Ranking, Recommender
from streams.accuracy import CUT
from streams.catalogue import Catalogue
from streams.model_thread import ModelThread


class ThreadRanker:
    """Ranks in the model thread."""

    def __init__(self, model: Recommender, thread: ModelThread, catalogue: Catalogue) -> None:
        self._model = model
        self._thread = thread
        self._catalogue = catalogue

    async def rank(self, queries: Sequence[Query], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """The rankings, the most popular items beside them, and the model's version."""
        if not queries:
            return [], [], 0
        hidden = frozenset(self._catalogue.hidden)

        def job() -> tuple[list[Ranking], Sequence[str], int]:
            rankings = self._model.rank([*queries, Query(())], k, hidden)
            return rankings[:-1], rankings[-1].items[:CUT], self._model.steps

        return await self._thread.urgent(job)
