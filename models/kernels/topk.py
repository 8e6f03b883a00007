"""Exact top-K of long score rows, and the log of their softmax's denominator."""

from __future__ import annotations

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ZERO, descending, exp, f4, index_of, select, sort

BLOCK = 16
ABSENT = f4(-1e9)
_LEAST = f4(-1e30)
_THERE = f4(-5e8)


@njit(**KERNEL)
def top_scores(scores, bias, n, blocked, any_blocked, k, top, count, log_norm, block_max, keys):  # type: ignore[no-untyped-def]
    """Add the bias to each row of scores, and find its k best items that are there and not blocked, best first.

    ``scores`` [B, capacity] float32 is changed in place; only its first n columns count, and no item is there whose score is
    `ABSENT`. ``blocked`` is uint8[capacity], looked at if ``any_blocked``. Results: ``top`` int32[B, >=k], ``count`` int32[B],
    ``log_norm`` float32[B] over all items. Scratch: ``block_max`` float32[capacity / 16], ``keys`` int64[capacity + 16].

    The k-th largest maximum of a block of 16 is a floor under the k-th largest score, so few scores remain to be sorted.
    """
    for q in range(count.shape[0]):
        row = scores[q]
        blocks = (n + BLOCK - 1) // BLOCK
        for x in range(n):
            row[x] = row[x] + bias[x]
        for x in range(n, min(blocks * BLOCK, row.shape[0])):
            row[x] = ABSENT
        largest = _LEAST
        for block in range(blocks):
            best, start = _LEAST, block * BLOCK
            for x in range(BLOCK):
                best = max(best, row[start + x])
            block_max[block] = best
            largest = max(largest, best)
        total = ZERO
        for x in range(n):
            total += exp(row[x] - largest)
        log_norm[q] = largest + f4(np.log(total)) if n else ZERO
        count[q] = _best(row, n, blocks, blocked, any_blocked, k, top[q], block_max, keys)


@njit(inline="always", **KERNEL)
def _best(row, n, blocks, blocked, any_blocked, k, top, block_max, keys):  # type: ignore[no-untyped-def]
    wanted = min(k, n)
    if any_blocked:  # blocks whose best item is blocked are measured again
        for block in range(blocks):
            best = _LEAST
            for x in range(block * BLOCK, min(block * BLOCK + BLOCK, n)):
                if not blocked[x]:
                    best = max(best, row[x])
            block_max[block] = best
    floor = _THERE
    if blocks > wanted:
        for block in range(blocks):
            keys[block] = descending(block_max[block], block)
        select(keys, blocks, wanted)
        floor = block_max[index_of(keys[0])]
        for place in range(1, wanted):
            floor = min(floor, block_max[index_of(keys[place])])
        floor = max(floor, _THERE)
    found = 0
    for block in range(blocks):
        if block_max[block] >= floor:
            for x in range(block * BLOCK, min(block * BLOCK + BLOCK, n)):
                if row[x] >= floor and not (any_blocked and blocked[x]):
                    keys[found] = descending(row[x], x)
                    found += 1
    if found > wanted:
        select(keys, found, wanted)
        found = wanted
    sort(keys, found)
    for place in range(found):
        top[place] = index_of(keys[place])
    return found
