"""What each expert alone would have ranked for a query: the mixture is watched against its parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.experts.memory import Memory
from models.experts.rows import BACKWARD, EXPERTS
from models.gate.candidates import Buffers, mark
from models.gate.features import Scratch, expert_scores
from models.kernels.numerics import KERNEL, ZERO, Ints, descending, f4, index_of, select, sort
from models.recommender import TESTED_K

PER_EXPERT = (*EXPERTS, "repeats")
"""The experts, in the order of the kernel's tops; after them comes the encoder."""
_REPEATS, _NET = len(EXPERTS), len(EXPERTS) + 1
_BACKWARD_COLUMN = 6  # in the scratch the cosine comes before it


def per_expert(
    windows: Ints, asked: Sequence[tuple[int, int]], memory: Memory, buffers: Buffers, blocked: NDArray[np.uint8], out: Ints,
    scratch: Scratch, encoder: str,
) -> dict[int, dict[str, list[str]]]:  # fmt: skip
    """The first 20 items of each expert, by its name, by place of the query.

    ``asked`` are pairs: the query's place in ``windows`` int32[N, 10], and in ``buffers``, which holds the net's best.
    ``blocked`` and ``out`` are what no query, and what each query, must not get: see `models.gate.candidates.describe_batch`.
    """
    if not asked:
        return {}
    tops = np.zeros((len(asked), _NET + 1, TESTED_K), np.int32)
    counts = np.zeros((len(asked), _NET + 1), np.int32)
    rank_per_expert(
        windows, np.array(asked, np.int32), memory.rows, memory.statistics, buffers.net_top, buffers.net_count, blocked, out,
        scratch, tops, counts,
    )  # fmt: skip
    name = memory.vocabulary.name
    found: dict[int, dict[str, list[str]]] = {}
    for (place, _), of_query, sizes in zip(asked, tops.tolist(), counts.tolist(), strict=True):
        found[place] = {
            expert: [name(row) for row in top[:size]]
            for expert, top, size in zip((*PER_EXPERT, encoder), of_query, sizes, strict=True)
        }
    return found


@njit(**KERNEL)
def rank_per_expert(  # type: ignore[no-untyped-def]
    windows, asked, rows, statistics, net_top, net_count, blocked, out, scratch, tops, counts
):
    """Write each expert's best rows, best first, into ``tops`` [A, 8, k] and how many there are into ``counts`` [A, 8]."""
    keys, k = scratch.keys, tops.shape[2]
    for a in range(asked.shape[0]):
        n, in_room = asked[a, 0], asked[a, 1]
        scratch.query[0] += 1
        found, _ = expert_scores(windows[n], rows, statistics, scratch, scratch.query[0])
        mark(blocked, out, n, 1)
        for expert in range(_NET):
            column, size = expert if expert < BACKWARD else _BACKWARD_COLUMN, 0
            for m in range(found):
                x = scratch.found[m]
                score = scratch.repeat[x] if expert == _REPEATS else scratch.score[x, column]
                if score > ZERO and not blocked[x]:
                    keys[size] = descending(f4(score), x)
                    size += 1
            count = min(k, size)
            if size > count:
                select(keys, size, count)
            sort(keys, count)
            for place in range(count):
                tops[a, expert, place] = index_of(keys[place])
            counts[a, expert] = count
        size = 0
        for place in range(net_count[in_room]):
            x = net_top[in_room, place]
            if size < k and not blocked[x]:
                tops[a, _NET, size] = x
                size += 1
        counts[a, _NET] = size
        mark(blocked, out, n, -1)
