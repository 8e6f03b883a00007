"""Beyond the catalogue size that is scored whole: what is popular stands for the net's best, a sample for the softmax's sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.experts.memory import Memory
from models.gate.candidates import Buffers
from models.kernels.numerics import Floats, Ints
from models.net.net import Net

REFRESHED_EVERY = 64


class Shortlist:
    """The most popular rows, found anew every 64 learning steps: finding them reads every item."""

    def __init__(self) -> None:
        self.rows: Ints = np.zeros(0, np.int32)
        self._followed = 0

    def refresh(self, memory: Memory, step: int, depth: int) -> None:
        """Before learning step number ``step``: look for them again if it is time."""
        if step % REFRESHED_EVERY == 0:
            self.rows = popular_rows(memory, depth)

    def follow(self, memory: Memory, depth: int) -> None:
        """The same for a follower, which takes no steps of its own; after every batch."""
        self.refresh(memory, self._followed, depth)
        self._followed += 1

    def forget(self, gone: NDArray[np.bool_]) -> None:
        """These rows' items are no more."""
        self.rows = self.rows[~gone[self.rows]]

    def score(self, memory: Memory, net: Net, vectors: Floats, depth: int, buffers: Buffers) -> None:
        """Fill ``buffers`` with the scores of the ``depth`` most popular, for query vectors [B, d]."""
        short, count = self.rows[:depth] if len(self.rows) >= depth else popular_rows(memory, depth), len(vectors)
        buffers.logits[:count, short] = net.score(vectors, short)
        buffers.net_top[:count, : len(short)] = short
        buffers.net_count[:count] = len(short)
        buffers.log_norm[:count] = net.sampled_norm(vectors, memory.vocabulary.height)


def popular_rows(memory: Memory, n: int) -> Ints:
    """The n most popular items' rows, best first."""
    popular = memory.popular()
    rows = np.argpartition(-popular, min(n, len(popular) - 1))[:n]
    rows = rows[np.lexsort((rows, -popular[rows]))]
    return rows[popular[rows] > 0].astype(np.int32)
