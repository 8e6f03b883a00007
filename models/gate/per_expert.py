"""What each expert would have ranked by itself, to compare the mixture with its parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from models.experts.memory import Memory
from models.experts.rows import BACKWARD, EXPERTS
from models.gate.batch import Excluded, NetScores
from models.gate.candidates import mark
from models.gate.features import Scratch, expert_scores
from models.kernels.numerics import KERNEL, ZERO, Ints, descending, f4, index_of, select, sort
from models.recommender import TESTED_K

PER_EXPERT = (*EXPERTS, "repeats")
"""The experts in the order of the kernel's results. The encoder comes after them."""
_REPEATS, _NET = len(EXPERTS), len(EXPERTS) + 1
_BACKWARD_COLUMN = 6  # of the scores in the scratch, where the cosine comes before it


def per_expert(
    windows: Ints, queries: Sequence[int], memory: Memory, net: NetScores, excluded: Excluded, scratch: Scratch, encoder: str
) -> dict[int, dict[str, list[str]]]:
    """The first 20 items of each expert by its name, for each of ``queries``.

    ``queries`` are indices of ``windows`` int32[A, 10]. ``net`` and ``excluded`` are those of all A
    queries, ``encoder`` is the name of the encoder.
    """
    if not queries:
        return {}
    tops = np.zeros((len(queries), _NET + 1, TESTED_K), np.int32)  # [Q, 8, 20]
    counts = np.zeros((len(queries), _NET + 1), np.int32)  # [Q, 8]
    rank_per_expert(windows, np.array(queries, np.int32), memory.counts, net, excluded, scratch, tops, counts)
    name = memory.vocabulary.name
    rankings: dict[int, dict[str, list[str]]] = {}
    for query, tops_of_query, sizes in zip(queries, tops.tolist(), counts.tolist(), strict=True):
        rankings[query] = {
            expert: [name(row) for row in top[:size]]
            for expert, top, size in zip((*PER_EXPERT, encoder), tops_of_query, sizes, strict=True)
        }
    return rankings


@njit(**KERNEL)
def rank_per_expert(windows, queries, counts, net, excluded, scratch, tops, sizes):  # type: ignore[no-untyped-def]
    """Write each expert's k best rows into ``tops`` [Q, 8, k], and their number into ``sizes``."""
    keys, k = scratch.keys, tops.shape[2]
    for a in range(queries.shape[0]):
        n = queries[a]
        scratch.query[0] += 1
        named, _ = expert_scores(windows[n], counts, scratch, scratch.query[0])
        mark(excluded, n, 1)
        for expert in range(_NET):
            column, size = expert if expert < BACKWARD else _BACKWARD_COLUMN, 0
            for m in range(named):
                x = scratch.named[m]
                score = scratch.repeat[x] if expert == _REPEATS else scratch.score[x, column]
                if score > ZERO and not excluded.everywhere[x]:
                    keys[size] = descending(f4(score), x)
                    size += 1
            count = min(k, size)
            if size > count:
                select(keys, size, count)
            sort(keys, count)
            for place in range(count):
                tops[a, expert, place] = index_of(keys[place])
            sizes[a, expert] = count
        size = 0
        for place in range(net.counts[n]):
            x = net.top[n, place]
            if size < k and not excluded.everywhere[x]:
                tops[a, _NET, size] = x
                size += 1
        sizes[a, _NET] = size
        mark(excluded, n, -1)
