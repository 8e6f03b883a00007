"""Dividing a full list in two, by two means of its vectors."""

from __future__ import annotations

import numpy as np
from numba import njit

from models.encoders.encoder import D
from models.index.lists import MOST, append, set_half
from models.kernels.numerics import KERNEL, ONE, ZERO, descending, f4, index_of, sort

ROUNDS = 4
SMALLEST = MOST // 8
"""Fewest entries of a half."""


@njit(**KERNEL)
def split(lists, at, new, embedding, bias):  # type: ignore[no-untyped-def]
    """Move about half of the entries of list ``at`` to list ``new``, which is not in use.

    The first two means are the vector farthest from the centroid, and the one farthest from that.
    Codes are copied along.
    """
    n, size = lists.size[at], lists.centroid.shape[1]
    means = np.empty((2, size), np.float32)  # [2, d + 1]
    means[0] = lists.centroid[at]
    for mean in (0, 1):  # the first becomes the farthest from the centroid, the second the farthest from the first
        farthest, most = 0, f4(-1)
        for entry in range(n):
            away = distance(means[0], embedding[lists.row[at, entry]], bias[lists.row[at, entry]])
            if away > most:
                farthest, most = entry, away
        _copy(embedding, bias, lists.row[at, farthest], means[mean])
    keys = np.empty(MOST, np.int64)  # [MOST]
    left = n // 2
    for _ in range(ROUNDS):
        left = 0
        for entry in range(n):
            x, b = embedding[lists.row[at, entry]], bias[lists.row[at, entry]]
            nearer = distance(means[1], x, b) - distance(means[0], x, b)
            left += nearer > ZERO
            keys[entry] = descending(nearer, entry)
        sort(keys, n)
        left = min(max(left, SMALLEST), n - SMALLEST)
        _mean(lists, at, keys[:left], embedding, bias, means[0])
        _mean(lists, at, keys[left:n], embedding, bias, means[1])
    _move(lists, at, new, keys, left, n)
    for side, where in ((0, at), (1, new)):
        lists.centroid[where] = means[side]
        set_half(lists, where)
        total = ZERO
        for entry in range(lists.size[where]):
            row = lists.row[where, entry]
            total += distance(means[side], embedding[row], bias[row])
        lists.spread[where] = total / f4(lists.size[where])


@njit(**KERNEL)
def distance(mean, x, b):  # type: ignore[no-untyped-def]
    """The squared distance of a vector, with bias ``b``, to a mean [d + 1]."""
    total = (mean[D] - b) * (mean[D] - b)
    for d in range(D):
        total += (mean[d] - x[d]) * (mean[d] - x[d])
    return total


@njit(**KERNEL)
def _copy(embedding, bias, row, out):  # type: ignore[no-untyped-def]
    last = out.shape[0] - 1
    for d in range(last):
        out[d] = embedding[row, d]
    out[last] = bias[row]


@njit(**KERNEL)
def _mean(lists, at, keys, embedding, bias, out):  # type: ignore[no-untyped-def]
    last, share = out.shape[0] - 1, ONE / f4(keys.shape[0])
    out[:] = ZERO
    for n in range(keys.shape[0]):
        row = lists.row[at, index_of(keys[n])]
        for d in range(last):
            out[d] += share * embedding[row, d]
        out[last] += share * bias[row]


@njit(**KERNEL)
def _move(lists, at, new, keys, left, n):  # type: ignore[no-untyped-def]
    """Keep the entries of the first ``left`` keys in list ``at``, and move those of the others."""
    for place in range(left, n):
        entry, to = index_of(keys[place]), lists.size[new]
        append(lists, new, lists.row[at, entry])
        lists.scale[new, to], lists.bias[new, to] = lists.scale[at, entry], lists.bias[at, entry]
        for d in range(lists.code.shape[2]):
            lists.code[new, to, d] = lists.code[at, entry, d]
        lists.row[at, entry] = -1
    kept = 0
    for entry in range(n):
        row = lists.row[at, entry]
        if row < 0:
            continue
        lists.row[at, kept], lists.place[row] = row, np.int32(at * MOST + kept)
        lists.scale[at, kept], lists.bias[at, kept] = lists.scale[at, entry], lists.bias[at, entry]
        for d in range(lists.code.shape[2]):
            lists.code[at, kept, d] = lists.code[at, entry, d]
        kept += 1
    lists.size[at] = kept
