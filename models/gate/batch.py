"""The arrays of one batch of queries, bundled for the kernels of the gate.

A is the number of queries, N that of all their candidates, one query after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.gate.features import FEATURES
from models.kernels.numerics import Floats, Ints

F = len(FEATURES)
NONE_BLOCKED: NDArray[np.uint8] = np.zeros(0, np.uint8)  # [0]
NONE_PER_QUERY: Ints = np.zeros((0, 0), np.int32)  # [0, 0]


class NetScores(NamedTuple):
    """The net's vectors and scores for each query."""

    vectors: Floats  # [A, d] query vectors; [0, d] if `logits` already has the score of every item
    embedding: Floats  # [capacity, d]
    bias: Floats  # [capacity]
    logits: Floats  # [>= A, capacity] score of each item; [>= A, depth] those of `top` if not every item has one
    top: Ints  # [>= A, depth] rows of the best items, best first
    counts: Ints  # [>= A] how many of a query's `top` are valid
    log_norm: Floats  # [>= A] log of the sum over all items of e ** score


class Excluded(NamedTuple):
    """Items that must not be in any ranking of the batch, or in the ranking of one query."""

    everywhere: NDArray[np.uint8]  # [capacity] not 0 for an excluded item; kernels change it and change it back
    per_query: Ints  # [A, X] rows, -1 padded; [0, 0] if no query excludes any


class Candidates(NamedTuple):
    """The candidates of all queries, one query after the other."""

    ids: Ints  # [N] rows of the items
    features: Floats  # [N, F]
    starts: Ints  # [A + 1] query q has the candidates from starts[q] to starts[q + 1]
    answers: Ints  # [A] index of the target among its query's candidates, -1 if it is not among them


class Chosen(NamedTuple):
    """The k items of each query's ranking, best first."""

    row: Ints  # [A, k]
    score: Floats  # [A, k]
    reason: Ints  # [A, k] number of the reason: see `models.experts.reasons`
    because: Ints  # [A, k] row of the item of the prefix that it is recommended for, -1 for none
    counts: Ints  # [A] how many of the k there are


def new_chosen(queries: int, k: int) -> Chosen:
    """Allocate k items for each of so many queries."""
    return Chosen(
        np.zeros((queries, k), np.int32),  # [A, k]
        np.zeros((queries, k), np.float32),  # [A, k]
        np.zeros((queries, k), np.int32),  # [A, k]
        np.full((queries, k), -1, np.int32),  # [A, k]
        np.zeros(queries, np.int32),  # [A]
    )
