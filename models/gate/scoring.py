"""The net's scores for a batch of queries: of all items, or through the index of a large catalogue.

Up to ``exact_items`` items, every item is scored. With more, the index finds the net's best items,
and only these and the experts' candidates have a score; both are exact.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.experts.memory import Memory
from models.gate.batch import NetScores
from models.gate.workspace import Buffers, Workspace
from models.index.index import Index
from models.kernels.numerics import Floats, Ints
from models.kernels.topk import ABSENT, top_scores
from models.net.net import NO_ROWS, Net
from models.state import State

Unknown = tuple[int, NDArray[np.bool_]]
"""A row, and the queries bool[A] for which its item does not exist."""


class Scoring:
    """Scores items by the net, and keeps the index up to date.

    The index is built once, when the catalogue first has more than ``exact_items`` items, and it
    follows every change from then on.
    """

    def __init__(self, memory: Memory, net: Net, work: Workspace, exact_items: int) -> None:
        self.index = Index()
        self._memory, self._net, self._work, self._exact_items = memory, net, work, exact_items

    def score(
        self, windows: Ints, unknown: Sequence[Unknown], blocked: NDArray[np.uint8], depth: int, among: Ints | None = None
    ) -> NetScores:
        """The net's scores for ``windows`` int32[A, 10], with its best ``depth`` items.

        ``blocked`` [capacity] marks items to leave out of the best ones; [0] leaves out none. If
        only some rows may be among them, ``among`` [N] names these, and the others are marked.
        """
        net, items, queries = self._net, self._net.items, len(windows)
        height = self._memory.vocabulary.height
        buffers = self._work.reserve(queries, depth, every_item=not self.index.built)
        vectors = net.queries(windows)  # [A, d]
        if not self.index.built:
            logits = buffers.logits[:queries]  # [A, capacity]
            net.logits(vectors, height, logits)
            for row, without in unknown:
                logits[without, row] = ABSENT
            top_scores(logits, items.bias, height, blocked, depth, buffers.top, self._work.block_max, self._work.scratch.keys)
            vectors = vectors[:0]  # [0, d] as every item has its score
        else:
            extra = np.array([row for row, _ in unknown], np.int32)  # [X]
            visible = np.ones((queries, len(extra)), np.bool_)  # [A, X]
            for n, (_, without) in enumerate(unknown):
                visible[:, n] = ~without
            self.index.search(items, vectors, blocked, extra, visible, depth, buffers.top, buffers.logits)
            if among is not None:
                self._best_of(among[blocked[among] == 0], vectors, depth, buffers)
        return NetScores(vectors, items.embedding, items.bias, buffers.logits, *buffers.top)

    def follow(self, changed: Ints, new: Collection[int] = ()) -> None:
        """Take over the rows that the net ``changed``, and those of ``new`` items."""
        height, items = self._memory.vocabulary.height, self._net.items
        if self.index.built:
            self.index.update(items, changed, np.array(list(new), np.int32), height)
        elif height > self._exact_items:
            self.build()

    def build(self) -> None:
        """Build the index of all items."""
        self.index.build(self._net.items, self._rows())

    def evict(self, evicted: NDArray[np.bool_]) -> None:
        """Remove the rows that are marked in ``evicted`` bool[capacity]."""
        if self.index.built:
            self.index.remove(self._net.items, np.flatnonzero(evicted).astype(np.int32))

    def grow(self) -> None:
        """Make room for as many items as the memory has room for."""
        self._work.grow(self._memory.capacity)
        self.index.grow(self._memory.capacity)

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays of the index, by name."""
        return self.index.state()

    def restore(self, state: State) -> None:
        """Take the index of a state. Large catalogues of older snapshots have none: build it."""
        if len(state.get("sizes", NO_ROWS)):
            self.index.restore(state, self._net.items, self._rows())
        elif self._memory.vocabulary.height > self._exact_items:
            self.build()

    def _rows(self) -> Ints:
        """The ascending rows of all items."""
        used = np.ones(self._memory.vocabulary.height, np.bool_)  # [height]
        used[self._memory.vocabulary.free] = False
        return np.flatnonzero(used).astype(np.int32)

    def _best_of(self, rows: Ints, vectors: Floats, depth: int, buffers: Buffers) -> None:
        """Write the best of ``rows`` [N] into the buffers, by scoring each."""
        top = buffers.top
        for q, scores in enumerate(self._net.score(vectors, rows)):  # [N]
            best = np.lexsort((rows, -scores))[:depth]  # [<= depth]
            top.items[q, : len(best)], top.counts[q] = rows[best], len(best)
            buffers.logits[q, : len(best)] = scores[best]
