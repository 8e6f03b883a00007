"""The sparse experts by themselves: counts that follow the log, and rankings by their fixed sum.

A panel has neither net nor gate, so following is cheap and needs no learner. `ouzel serve` ranks
with it: similar items, popular items, and items that fill a published ranking after a filter
removed too many.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from models.baselines.experts import FixedSum, weigh
from models.experts import rows as experts
from models.experts.memory import MAX_ITEMS, Memory
from models.experts.reasons import REASONS, explain
from models.experts.statistics import HALF_LIVES
from models.kernels.numerics import Floats
from models.layout import Layout, check_layout, check_numbers, layouts
from models.profile import Profile
from models.ranked import Rows, allowed_rows, marked, ranked_by
from models.recommender import POPULAR, Query, Ranking
from models.state import State
from models.transition import Transitions

EXPERTS = "experts"
"""The strategy of rankings by the experts."""
HALF_LIFE = HALF_LIVES[1]


class Panel:
    """Counts, and rankings from them.

    It is not safe for threads: one thread owns it and calls every method.
    """

    def __init__(self, max_items: int = MAX_ITEMS, slots: int = Profile().slots) -> None:
        self.memory = Memory(slots, max_items)

    @classmethod
    def restored(cls, memory: State, max_items: int = MAX_ITEMS) -> Panel:
        """A panel with the counts of a model: the part "memory" of its state.

        Raises ``ValueError`` if no model has such a part.
        """
        panel = cls.like(layouts(memory), max_items)
        check_numbers(memory, panel.memory.state())
        panel.memory.restore(memory)
        return panel

    @classmethod
    def like(cls, memory: Mapping[str, Layout], max_items: int = MAX_ITEMS) -> Panel:
        """An empty panel that can take the counts in arrays of these layouts.

        Raises ``ValueError`` if no model has such arrays.
        """
        *_, slots = (0, *memory.get("rows.item", Layout("", ())).shape)
        if not 1 <= slots <= Profile().slots:
            raise ValueError(f"the array rows.item has {slots} slots, at most {Profile().slots}")
        panel = cls(max_items, slots)
        check_layout(memory, panel.memory.state())
        return panel

    def warmup(self) -> None:
        """Compile every kernel on the calling thread; no count changes."""
        rehearsal, batch = Panel(16), Transitions()
        batch.append(0, 0, [], "a", "view", 1.0, 0)
        batch.append(0, 1, ["a"], "b", "view", 1.0, 0)
        rehearsal.follow(batch)
        rehearsal.rank(Query(["a"]), 2)

    def follow(self, batch: Transitions) -> None:
        """Count the transitions that were not counted before."""
        columns, _ = self.memory.register(batch)
        self.memory.count(columns)

    def knows(self, item: str) -> bool:
        """Whether the item is in the vocabulary."""
        return self.memory.vocabulary.row(item) is not None

    def rank(self, query: Query, k: int, hidden: AbstractSet[str] = frozenset()) -> Ranking:
        """Rank at most ``k`` items by the experts, with reasons; none without a known item."""
        memory = self.memory
        window = memory.look_up([query]).window[0]  # [10]
        scores = np.zeros(memory.vocabulary.height, np.float32)  # [height]
        shares = np.array([FixedSum.shares.get(name, 0) for name in (*experts.EXPERTS, "repeats")], np.float32)  # [7]
        weigh(window, memory.rows, shares, scores)
        ranking = self._among(scores, query, k, hidden, EXPERTS)
        rows = np.array(memory.vocabulary.rows(ranking.items), np.int32)  # [N]
        places = np.full(memory.capacity, -1, np.int32)  # [capacity]
        places[rows] = np.arange(len(rows), dtype=np.int32)
        reasons, because = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.int32)  # [N] each
        explain(window, memory.rows, places, rows, reasons, because)
        names = (*REASONS, EXPERTS)
        return Ranking(
            ranking.items,
            ranking.scores,
            [names[reason] for reason in reasons.tolist()],
            [memory.vocabulary.name(row) if row >= 0 else None for row in because.tolist()],
            EXPERTS,
        )

    def popular(self, query: Query, k: int, hidden: AbstractSet[str] = frozenset(), half_life: int = HALF_LIFE) -> Ranking:
        """Rank at most ``k`` items by popularity. ``half_life`` is one of `HALF_LIVES`."""
        statistics, place = self.memory.statistics, HALF_LIVES.index(half_life)
        counts = statistics.decayed[: self.memory.vocabulary.height, place]  # [height]
        scores = np.asarray(counts / np.float32(statistics.increment[place]), np.float32)  # [height]
        return self._among(scores, query, k, hidden, POPULAR)

    def _among(self, scores: Floats, query: Query, k: int, hidden: AbstractSet[str], strategy: str) -> Ranking:
        """Rank the items with a positive score that the query allows."""
        vocabulary = self.memory.vocabulary
        blocked = marked(vocabulary.rows(hidden), vocabulary.height)  # [height]
        among: Rows = allowed_rows(vocabulary, query.allowed, blocked)
        return ranked_by(scores, vocabulary, among[scores[among] > 0], vocabulary.rows(query.excluded), k, strategy)
