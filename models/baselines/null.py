"""A model that ranks nothing: it measures the cost of everything but the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.applied import Applied
from models.recommender import TESTED_K, Parameters, QueryLike, Ranking
from models.state import State, scalar
from models.transition import Transitions

_NOTHING = Ranking([], [], [], [], "null")


class NullRecommender:
    """A `Recommender` that ranks nothing and only advances its position."""

    step_size = 0
    evicted_items = skipped_steps = drifts = 0
    vocabulary_size = 0
    diverged, healthy = False, True
    loss = gradient_norm = math.nan

    def __init__(self) -> None:
        self.steps = 0
        self._applied = Applied()

    @property
    def position(self) -> Mapping[int, int]:
        return self._applied.highest

    def reposition(self, position: Mapping[int, int]) -> None:
        self._applied = Applied(position)

    def head(self, share: float) -> frozenset[str]:
        return frozenset()

    def warmup(self) -> None:
        """Do nothing: there are no kernels."""

    def follow(self, batch: Transitions) -> None:
        for partition, offset in zip(batch.source_partition, batch.source_offset, strict=True):
            self._applied.add(partition, offset)

    def learn(self, batch: Transitions) -> None:
        self.follow(batch)
        self.steps += 1

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        self.learn(batch)
        return [_NOTHING] * len(batch)

    def changes(self, since: int) -> tuple[Parameters, int]:
        return Parameters(self.steps, 0, [], np.zeros((0, 0), np.float32), {}), since

    def apply(self, parameters: Parameters) -> None:
        self.steps = parameters.steps

    def rollback(self, good: State) -> None:
        """Do nothing: there are no parameters."""

    def state(self) -> dict[str, NDArray[Any]]:
        return {"steps": scalar(self.steps)} | self._applied.state()

    def restore(self, state: State) -> None:
        self.steps = int(state["steps"][0])
        self._applied = Applied.restored(state)

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        return [_NOTHING] * len(queries)
