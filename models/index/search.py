"""Finding the best items of a query in the lists that promise most.

A list promises the score of its centroid, and more the wider it is spread: the best items of a list
are far out on the query's side.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.encoders.encoder import D
from models.index.lists import MOST, NOWHERE
from models.kernels.numerics import KERNEL, ZERO, descending, exp, f4, i4, index_of, score_of, select, sort

OUTLIER = f4(2)
"""How many standard deviations a list's best score is above that of its centroid."""
SPARE = 24
"""Items beyond the wanted ones that are scored exactly, because 8-bit scores are rounded."""
SUMMED = 64
"""Lists whose scores are summed for the norm of the softmax."""
_QUERY_RANGE = f4(16_000)
_LOWEST = f4(-1e30)


@njit(**KERNEL)
def search(lists, used, probed, queries, products, embedding, bias, blocked, extra, visible, depth, top, best_scores):  # type: ignore[no-untyped-def]
    """Write the ``depth`` best items of each query into ``top``, a `Top`, best first.

    Their scores go to ``best_scores`` [A, >= depth].
    ``queries`` are [A, d + 1] with 1 at the end, ``products`` [A, used] theirs with the centroids.
    Of the lists, the ``probed`` most promising are read. ``blocked`` uint8[capacity] marks items to
    leave out; [0] leaves out none. ``extra`` [X] are rows in no list, of which query q sees those
    with ``visible[q]`` [X]. The norm of the softmax sums the scores of the most promising lists;
    those of the others count as normally distributed.
    """
    size = queries.shape[1] - 1  # d
    wanted = depth + depth // 2 + SPARE
    promise = np.empty(used, np.int64)  # [used]
    keys = np.empty(4 * wanted + MOST + extra.shape[0], np.int64)
    scores, code = np.empty(MOST, np.float32), np.empty(size, np.int16)  # [MOST], [d]
    spread, values = np.sqrt(lists.spread[:used]), np.empty(used, np.float32)  # [used] each
    for q in range(queries.shape[0]):
        query = queries[q]  # [d + 1]
        largest, square = f4(1e-20), ZERO
        for d in range(size):
            largest = max(largest, abs(query[d]))
            square += query[d] * query[d]
        for d in range(size):
            code[d] = np.int16(query[d] * (_QUERY_RANGE / largest))
        unit, share = largest / _QUERY_RANGE, square / f4(size)
        reference, count, outlier = _LOWEST, 0, OUTLIER * np.sqrt(share)
        for at in range(used):
            values[at] = products[q, at] + outlier * spread[at]
        for at in range(used):
            if lists.half[at] < NOWHERE:
                reference = max(reference, products[q, at])
                promise[count] = descending(values[at], at)
                count += 1
        if count == 0:
            reference = ZERO
        read = min(probed, count)
        if read < count:
            select(promise, count, read)
        sort(promise, read)
        total = ZERO
        for n in range(min(read, SUMMED), count):
            at = index_of(promise[n])
            value = products[q, at] + f4(0.5) * share * lists.spread[at] - reference
            total += f4(lists.size[at]) * exp(value)
        found, least = 0, _LOWEST
        for n in range(read):
            at = index_of(promise[n])
            entries = lists.size[at]
            highest = _score(lists.code[at], lists.scale[at], lists.bias[at], code, unit, scores[:entries])
            if n < SUMMED:
                for entry in range(entries):
                    total += exp(scores[entry] - reference)
            if highest < least:
                continue
            for entry in range(entries):
                if scores[entry] >= least and not (blocked.shape[0] > 0 and blocked[lists.row[at, entry]]):
                    keys[found] = descending(scores[entry], lists.row[at, entry])
                    found += 1
            if found > 4 * wanted:
                found, least = _narrow(keys, found, wanted)
        if found > wanted:
            found, least = _narrow(keys, found, wanted)
        for n in range(found):
            row = index_of(keys[n])
            keys[n] = descending(exact(query, embedding, bias, row), row)
        for n in range(extra.shape[0]):
            row = extra[n]
            if visible[q, n]:
                score = exact(query, embedding, bias, row)
                total += exp(score - reference)
                if not (blocked.shape[0] > 0 and blocked[row]):
                    keys[found] = descending(score, row)
                    found += 1
        best = min(depth, found)
        if best < found:
            select(keys, found, best)
        sort(keys, best)
        for n in range(best):
            top.items[q, n], best_scores[q, n] = index_of(keys[n]), score_of(keys[n])
        top.counts[q] = best
        top.log_norm[q] = reference + f4(np.log(max(total, f4(1e-30))))


@njit(**KERNEL)
def _score(code, scale, bias, query, unit, scores):  # type: ignore[no-untyped-def]
    """Write the scores [N] of the first entries of a list, by products of integers.

    Returns the highest.
    """
    for entry in range(scores.shape[0]):
        total = i4(0)
        for d in range(D):  # a constant, so that LLVM unrolls the loop
            total = i4(total + i4(i4(code[entry, d]) * i4(query[d])))
        scores[entry] = f4(total)
    for entry in range(scores.shape[0]):
        scores[entry] = scores[entry] * (unit * scale[entry]) + bias[entry]
    highest = _LOWEST
    for entry in range(scores.shape[0]):
        highest = max(highest, scores[entry])
    return highest


@njit(**KERNEL)
def _narrow(keys, found, wanted):  # type: ignore[no-untyped-def]
    """Keep the best of the keys; returns how many, and their lowest score."""
    select(keys, found, wanted)
    worst = keys[0]
    for n in range(1, wanted):
        worst = max(worst, keys[n])
    return wanted, score_of(worst)


@njit(inline="always", **KERNEL)
def exact(query, embedding, bias, row):  # type: ignore[no-untyped-def]
    """The score of a row for a query, whose further numbers are ignored."""
    total = bias[row]
    for d in range(D):
        total += query[d] * embedding[row, d]
    return f4(total)
