"""Exact top-k of long rows of scores, and the logarithm of their softmax's denominator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ZERO, Floats, Ints, descending, exp, f4, index_of, select, sort

BLOCK = 16
ABSENT = f4(-1e9)
"""The score of an item that does not exist."""
_LOWEST = f4(-1e30)
_LOWEST_PRESENT = f4(-5e8)


class Top(NamedTuple):
    """The best items of B rows of scores, and the softmax norm of each row."""

    items: Ints  # [B, depth] columns of the best scores, best first
    counts: Ints  # [B] how many of a row's `items` are valid
    log_norm: Floats  # [B] log of the sum of e ** score over all items


def new_top(rows: int, depth: int) -> Top:
    """Allocate a `Top` for the ``depth`` best of each of so many rows."""
    return Top(
        np.zeros((rows, depth), np.int32),  # [B, depth]
        np.zeros(rows, np.int32),  # [B]
        np.zeros(rows, np.float32),  # [B]
    )


@njit(**KERNEL)
def top_scores(scores, bias, n, blocked, k, top, block_max, keys):  # type: ignore[no-untyped-def]
    """Add the bias to each row of scores, and write its k best items into ``top``, best first.

    ``scores`` float32[B, capacity] is changed in place. Only its first n columns count, and a score
    of `ABSENT` means that there is no such item. ``blocked`` uint8[capacity] marks items to leave
    out of the best; [0] leaves out none. ``block_max`` float32[capacity / 16 + 1] and ``keys``
    int64[capacity + 16] are scratch.

    The k-th largest maximum of a block of 16 is a lower bound of the k-th largest score, so few
    scores remain to be sorted.
    """
    best_items, counts, log_norm = top.items, top.counts, top.log_norm  # [B, depth], [B], [B]
    for q in range(scores.shape[0]):
        row = scores[q]  # [capacity]
        blocks = (n + BLOCK - 1) // BLOCK
        for x in range(n):
            row[x] = row[x] + bias[x]
        for x in range(n, min(blocks * BLOCK, row.shape[0])):
            row[x] = ABSENT
        largest = _LOWEST
        for block in range(blocks):
            best, start = _LOWEST, block * BLOCK
            for x in range(BLOCK):
                best = max(best, row[start + x])
            block_max[block] = best
            largest = max(largest, best)
        total = ZERO
        for x in range(n):
            total += exp(row[x] - largest)
        log_norm[q] = largest + f4(np.log(total)) if n else ZERO
        counts[q] = _best(row, n, blocked, k, best_items[q], block_max, keys)


@njit(inline="always", **KERNEL)
def _best(row, n, blocked, k, best_items, block_max, keys):  # type: ignore[no-untyped-def]
    """Write the k best items of one row; returns how many there are."""
    wanted, blocks, any_blocked = min(k, n), (n + BLOCK - 1) // BLOCK, blocked.shape[0] > 0
    if any_blocked:  # the maximum of a block may belong to a blocked item: compute it without those
        for block in range(blocks):
            best = _LOWEST
            for x in range(block * BLOCK, min(block * BLOCK + BLOCK, n)):
                if not blocked[x]:
                    best = max(best, row[x])
            block_max[block] = best
    floor = _LOWEST_PRESENT
    if blocks > wanted:
        for block in range(blocks):
            keys[block] = descending(block_max[block], block)
        select(keys, blocks, wanted)
        floor = block_max[index_of(keys[0])]
        for place in range(1, wanted):
            floor = min(floor, block_max[index_of(keys[place])])
        floor = max(floor, _LOWEST_PRESENT)
    size = 0
    for block in range(blocks):
        if block_max[block] >= floor:
            for x in range(block * BLOCK, min(block * BLOCK + BLOCK, n)):
                if row[x] >= floor and not (any_blocked and blocked[x]):
                    keys[size] = descending(row[x], x)
                    size += 1
    if size > wanted:
        select(keys, size, wanted)
        size = wanted
    sort(keys, size)
    for place in range(size):
        best_items[place] = index_of(keys[place])
    return size
