"""The base class of baselines that only count."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.experts.columns import Columns
from models.experts.memory import MAX_ITEMS, Memory, Remembering
from models.kernels.numerics import Floats
from models.ranked import allowed_rows, marked, ranked_by
from models.recommender import POPULAR, TESTED_K, Parameters, Query, QueryLike, Ranking
from models.state import State, nested, part, scalar
from models.transition import Transitions

SLOTS = 64
_NOTHING = Ranking([], [], [], [], POPULAR)


class Counting(Remembering, ABC):
    """A `Recommender` that learns by counting, one transition at a time, and has no loss.

    A subclass sets ``strategy`` and implements `_scores`. If it keeps counts of its own, it also
    overrides `_count_own` and `_evict`.
    """

    strategy: str
    step_size = 1
    skipped_steps = drifts = 0
    diverged, healthy = False, True
    loss = gradient_norm = math.nan

    def __init__(self, seed: int = 0, *, max_items: int = MAX_ITEMS) -> None:
        self.memory = Memory(SLOTS, max_items)
        self.memory.subscribe(on_evict=self._evict)
        self.config: dict[str, Any] = {"seed": seed, "max_items": max_items}
        self.steps = 0

    @abstractmethod
    def _scores(self, columns: Columns, q: int) -> Floats:
        """The score [height] of every row for query ``q``; 0 for an item without one."""

    def _count_own(self, columns: Columns) -> None:
        """Count transitions in the arrays of the subclass, before the memory counts them."""

    def _evict(self, evicted: NDArray[np.bool_]) -> None:
        """Clear the rows marked in ``evicted`` bool[capacity] in the arrays of the subclass."""

    def warmup(self) -> None:
        rehearsal, batch = type(self)(), Transitions()
        batch.append(0, 0, [], "a", "view", 1.0, 0)
        batch.append(0, 1, ["a"], "b", "view", 1.0, 0)
        rehearsal.test_then_learn(batch)

    def follow(self, batch: Transitions) -> None:
        for n in range(len(batch)):
            self._count(self.memory.register(batch.take([n]))[0])

    def learn(self, batch: Transitions) -> None:
        self.follow(batch)
        self.steps += 1

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        rankings = []
        for n in range(len(batch)):
            one = batch.take([n])
            (ranking,) = self.rank([Query(one.prefix[0], length=one.length[0])], k) if one.prefix[0] else [_NOTHING]
            columns, _ = self.memory.register(one)
            if len(columns.target):
                rankings.append(ranking)
                self._count(columns)
        self.steps += 1
        return rankings

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        columns, vocabulary = self.memory.look_up(queries), self.memory.vocabulary
        blocked = marked(vocabulary.rows(hidden), vocabulary.height)  # [height]
        rankings, popular = [], self.memory.popular()
        for q, query in enumerate(queries):
            among, excluded = allowed_rows(vocabulary, query.allowed, blocked), vocabulary.rows(query.excluded)
            if columns.window[q, 0] < 0:
                rankings.append(ranked_by(popular, vocabulary, among, excluded, k, POPULAR))
            else:
                rankings.append(ranked_by(self._scores(columns, q), vocabulary, among, excluded, k, self.strategy))
        return rankings

    def changes(self, since: int) -> tuple[Parameters, int]:
        return Parameters(self.steps, 0, [], np.zeros((0, 0), np.float32), {}), since

    def apply(self, parameters: Parameters) -> None:
        self.steps = parameters.steps

    def rollback(self, good: State) -> None:
        """Do nothing: counting has no parameters."""

    def state(self) -> dict[str, NDArray[Any]]:
        return {"steps": scalar(self.steps)} | nested(memory=self.memory.state())

    def restore(self, state: State) -> None:
        self.steps = int(state["steps"][0])
        self.memory.restore(part(state, "memory"))

    def _count(self, columns: Columns) -> None:
        self._count_own(columns)
        self.memory.count(columns)
