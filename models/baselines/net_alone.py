"""The net without experts and gate: the accuracy of an encoder by itself."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoders.registry import encoder as make_encoder
from models.experts.memory import MAX_ITEMS, Memory
from models.kernels.numerics import Floats
from models.net.net import Net
from models.net.trained import Trained
from models.profile import PROFILES
from models.ranked import allowed_rows, marked, ranked_by
from models.recommender import POPULAR, TESTED_K, Query, QueryLike, Ranking
from models.state import State, nested, part, scalar
from models.transition import Transitions

_NOTHING = Ranking([], [], [], [], POPULAR)


class NetAlone(Trained):
    """A `Recommender` that ranks every item by the net's logits."""

    drifts = 0

    def __init__(self, seed: int = 0, encoder: str = "gru", profile: str = "balanced", *, max_items: int = MAX_ITEMS) -> None:
        self.config: dict[str, Any] = {"seed": seed, "profile": profile, "max_items": max_items}
        p = PROFILES[profile]
        self.strategy, self.step_size, self.steps = encoder, p.step_size, 0
        self.memory = Memory(1, max_items)
        self.net = Net(make_encoder(encoder, seed), seed, self.memory.capacity, p)
        self.memory.subscribe(self.net.grow, self.net.evict, self.net.add)

    @property
    def skipped_steps(self) -> int:
        return self.net.skipped

    def warmup(self) -> None:
        rehearsal, batch = NetAlone(encoder=self.strategy, **self.config), Transitions()
        for offset in range(8):
            batch.append(0, offset, [str(n) for n in range(offset)], str(offset), "view", 1.0, 0)
        rehearsal.test_then_learn(batch)

    def follow(self, batch: Transitions) -> None:
        columns, _ = self.memory.register(batch)
        self.memory.count(columns)
        self.net.count(columns.target)

    def learn(self, batch: Transitions) -> None:
        columns, _ = self.memory.register(batch)
        trained = columns.warm[columns.weight[columns.warm] > 0]  # [F]
        height = self.memory.vocabulary.height
        self.net.learn(columns.window[trained], columns.target[trained], columns.weight[trained], height)
        self.memory.count(columns)
        self.net.count(columns.target)
        self.steps += 1

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        sources = zip(batch.source_partition, batch.source_offset, batch.source_number, strict=True)
        fresh = [n for n, source in enumerate(sources) if self.memory.applied.lacks(*source)]
        rankings = self.rank([Query(batch.prefix[n]) for n in fresh], k)
        self.learn(batch)
        return [ranking if batch.prefix[n] else _NOTHING for n, ranking in zip(fresh, rankings, strict=True)]

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        columns, vocabulary = self.memory.look_up(queries), self.memory.vocabulary
        blocked = marked(vocabulary.rows(hidden), vocabulary.height)  # [height]
        scores = self._scores(columns.window)  # [B, height]
        rankings, popular = [], self.memory.popular()
        for q, query in enumerate(queries):
            among, excluded = allowed_rows(vocabulary, query.allowed, blocked), vocabulary.rows(query.excluded)
            if columns.window[q, 0] < 0:
                rankings.append(ranked_by(popular, vocabulary, among, excluded, k, POPULAR))
            else:
                rankings.append(ranked_by(scores[q], vocabulary, among, excluded, k, self.strategy))
        return rankings

    def state(self) -> dict[str, NDArray[Any]]:
        net = self.net.state(self.memory.vocabulary.height)
        return {"steps": scalar(self.steps)} | nested(memory=self.memory.state(), net=net)

    def restore(self, state: State) -> None:
        self.steps = int(state["steps"][0])
        self.memory.restore(part(state, "memory"))
        self.net.restore(part(state, "net"), self.memory.vocabulary.height)

    def _scores(self, windows: NDArray[np.int32]) -> Floats:
        """The net's scores [B, height] for windows int32[B, 10]; 0 for a window without an item."""
        height = self.memory.vocabulary.height
        scores = np.zeros((len(windows), height), np.float32)  # [B, height]
        warm = np.flatnonzero(windows[:, 0] >= 0)  # [A]
        if len(warm):
            logits = np.zeros((len(warm), height), np.float32)  # [A, height]
            self.net.logits(self.net.queries(windows[warm]), height, logits)
            scores[warm] = logits + self.net.items.bias[:height]
        return scores
