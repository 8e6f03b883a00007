"""Scoring a catalogue that is too large to score whole.

Popular items stand in for the net's best, and a sample of items for the norm of the softmax.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.experts.memory import Memory
from models.gate.workspace import Buffers
from models.kernels.numerics import Floats, Ints
from models.net.net import Net

REFRESHED_EVERY = 64


class Shortlist:
    """The rows of the most popular items.

    They are updated every 64 learning steps, because that reads every item.
    """

    def __init__(self) -> None:
        self.rows: Ints = np.zeros(0, np.int32)  # [S] best first
        self._followed = 0

    def refresh(self, memory: Memory, step: int, depth: int) -> None:
        """Update the rows if that is due before learning step number ``step``."""
        if step % REFRESHED_EVERY == 0:
            self.rows = popular_rows(memory, depth)

    def follow(self, memory: Memory, depth: int) -> None:
        """Do the same on a follower, which takes no learning steps: call it after every batch."""
        self.refresh(memory, self._followed, depth)
        self._followed += 1

    def evict(self, evicted: NDArray[np.bool_]) -> None:
        """Remove the rows that are marked in ``evicted`` bool[capacity]."""
        self.rows = self.rows[~evicted[self.rows]]

    def score(self, memory: Memory, net: Net, vectors: Floats, depth: int, buffers: Buffers) -> None:
        """Write the net's scores of the ``depth`` most popular items for ``vectors`` [A, d]."""
        short = self.rows[:depth] if len(self.rows) >= depth else popular_rows(memory, depth)  # [S]
        count, top = len(vectors), buffers.top
        buffers.logits[:count, short] = net.score(vectors, short)  # [A, S]
        top.items[:count, : len(short)] = short
        top.counts[:count] = len(short)
        top.log_norm[:count] = net.sampled_norm(vectors, memory.vocabulary.height)  # [A]


def popular_rows(memory: Memory, n: int) -> Ints:
    """The rows of the n most popular items, best first."""
    popular = memory.popular()  # [height]
    rows = np.argpartition(-popular, min(n, len(popular) - 1))[:n]  # [n]
    rows = rows[np.lexsort((rows, -popular[rows]))]
    return rows[popular[rows] > 0].astype(np.int32)
