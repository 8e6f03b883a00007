"""A model that knows nothing: the plumbing's cost without a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from models.recommender import Query, Ranking
from models.transition import Transitions

_NOTHING = Ranking([], [], [], [], "null")


class NullRecommender:
    """Ranks nothing, and counts what it is given."""

    step_size = 0
    vocabulary_size = 0
    loss = math.nan

    def __init__(self) -> None:
        self.steps = 0
        self._position: dict[int, int] = {}

    @property
    def position(self) -> Mapping[int, int]:
        return self._position

    def warmup(self) -> None:
        """Nothing to compile."""

    def follow(self, batch: Transitions) -> None:
        for partition, offset in zip(batch.source_partition, batch.source_offset, strict=True):
            self._position[partition] = max(offset, self._position.get(partition, -1))

    def learn(self, batch: Transitions) -> list[Ranking]:
        self.follow(batch)
        self.steps += 1
        return [_NOTHING] * len(batch)

    def rank(self, queries: Sequence[Query], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        return [_NOTHING] * len(queries)
