"""The working memory of a model: arrays that are allocated once and used again by every batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.gate.batch import F
from models.gate.features import new_scratch
from models.kernels.numerics import Floats, Ints
from models.kernels.topk import BLOCK, Top, new_top
from models.profile import Profile


class Buffers(NamedTuple):
    """Reusable memory for the net's scores and the candidates of a batch."""

    logits: Floats  # [queries, capacity] of every item, or [queries, depth] of the best ones
    top: Top  # of `queries` rows with `depth` items
    ids: Ints  # [queries * most]
    features: Floats  # [queries * most, F]

    def fits(self, queries: int, scored: int, depth: int) -> bool:
        """Whether the buffers are large enough."""
        rows, columns = self.top.items.shape
        return bool(rows >= queries and self.logits.shape[1] >= scored and columns >= depth)


def new_buffers(queries: int, scored: int, depth: int, most: int) -> Buffers:
    """Allocate for queries with at most ``most`` candidates and ``depth`` items of the net."""
    return Buffers(
        np.zeros((queries, scored), np.float32),  # [queries, scored]
        new_top(queries, depth),
        np.zeros(queries * most, np.int32),  # [queries * most]
        np.zeros((queries * most, F), np.float32),  # [queries * most, F]
    )


class Workspace:
    """Grows with the capacity of the model's memory, and with the largest batch so far.

    ``blocked`` uint8[capacity] marks items to leave out. It is 0 everywhere between two batches.
    """

    def __init__(self, profile: Profile, capacity: int) -> None:
        self._step_size = profile.step_size
        self._most = profile.sparse_candidates + profile.net_candidates
        self.grow(capacity)
        self.buffers = new_buffers(0, capacity, 0, 0)

    def grow(self, capacity: int) -> None:
        """Allocate for so many items."""
        self._capacity = capacity
        self.scratch = new_scratch(capacity)
        self.block_max = np.zeros(capacity // BLOCK + 1, np.float32)  # [capacity / 16 + 1]
        self.blocked = np.zeros(capacity, np.uint8)  # [capacity]

    @contextmanager
    def marked(self, out: Ints, among: Ints | None) -> Iterator[NDArray[np.uint8]]:
        """Marks uint8[capacity] of the rows ``out``, and of all that are not ``among`` some others.

        They are valid until the block ends.
        """
        marks = self.blocked if among is None else np.ones_like(self.blocked)  # [capacity]
        if among is not None:
            marks[among] = 0
        marks[out] = 1
        try:
            yield marks
        finally:
            self.blocked[out] = 0

    def reserve(self, queries: int, depth: int, *, every_item: bool) -> Buffers:
        """Buffers for at least so many queries, each with the net's best ``depth`` items.

        With ``every_item``, they have room for the score of every item.
        """
        scored = self._capacity if every_item else depth
        if not self.buffers.fits(queries, scored, depth):
            self.buffers = new_buffers(max(queries, self._step_size), scored, depth, self._most)
        return self.buffers
