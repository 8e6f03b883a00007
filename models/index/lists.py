"""The lists of the index, in arrays that kernels change in place.

A list has the items near one centroid. Vectors have d + 1 numbers: an embedding and its bias. Of
each item its list has the embedding as 8-bit integers, so that a query reads 72 bytes and not 260,
and reads them in sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.encoders.encoder import D
from models.kernels.numerics import KERNEL, ZERO, Floats, Ints, f4, i4

MOST = 128
"""Entries of a list, at which it is split."""
LEAST = 8
"""A list with fewer entries is dissolved."""
NOWHERE = f4(1e30)
"""The `half` of a list that is not in use."""
_LARGEST = f4(127)


class Lists(NamedTuple):
    """L lists, and the place of each row. A list that is not in use is empty."""

    code: NDArray[np.int8]  # [L, MOST, d] embeddings, divided by `scale`
    scale: Floats  # [L, MOST]
    bias: Floats  # [L, MOST]
    row: Ints  # [L, MOST]
    size: Ints  # [L] entries in use
    centroid: Floats  # [L, d + 1] running mean of the list's vectors
    half: Floats  # [L] half of the centroid's squared norm, `NOWHERE` if the list is not in use
    spread: Floats  # [L] running mean of the squared distance of an entry to the centroid
    place: Ints  # [capacity] MOST * list + entry of each row, -1 for none


def new_lists(count: int, capacity: int) -> Lists:
    """So many lists that are not in use, for ``capacity`` rows in no list."""
    return Lists(
        np.zeros((count, MOST, D), np.int8),  # [L, MOST, d]
        np.zeros((count, MOST), np.float32),  # [L, MOST]
        np.zeros((count, MOST), np.float32),  # [L, MOST]
        np.zeros((count, MOST), np.int32),  # [L, MOST]
        np.zeros(count, np.int32),  # [L]
        np.zeros((count, D + 1), np.float32),  # [L, d + 1]
        np.full(count, NOWHERE, np.float32),  # [L]
        np.zeros(count, np.float32),  # [L]
        np.full(capacity, -1, np.int32),  # [capacity]
    )


@njit(**KERNEL)
def refresh(lists, rows, embedding, bias):  # type: ignore[no-untyped-def]
    """Write the present vectors of ``rows`` [N] into their lists; rows in no list are ignored.

    No other kernel computes codes, so equal vectors have equal codes, whatever happened before.
    """
    for n in range(rows.shape[0]):
        place = lists.place[rows[n]]
        if place < 0:
            continue
        at, entry, vector = place // MOST, place % MOST, embedding[rows[n]]
        largest = f4(1e-20)
        for d in range(vector.shape[0]):
            largest = max(largest, abs(vector[d]))
        factor, code = _LARGEST / largest, lists.code[at, entry]  # [d]
        for d in range(vector.shape[0]):
            code[d] = np.int8(np.rint(vector[d] * factor))
        lists.scale[at, entry] = largest / _LARGEST
        lists.bias[at, entry] = bias[rows[n]]


@njit(**KERNEL)
def append(lists, at, row):  # type: ignore[no-untyped-def]
    """Add a row to list ``at``, which must not be full. `refresh` writes its code later."""
    entry = lists.size[at]
    lists.row[at, entry], lists.place[row] = row, i4(at * MOST + entry)
    lists.size[at] = entry + 1


@njit(**KERNEL)
def remove(lists, row):  # type: ignore[no-untyped-def]
    """Take a row out of its list, where the last entry takes its place. Returns the list."""
    place = lists.place[row]
    at, entry = place // MOST, place % MOST
    last = lists.size[at] - 1
    if entry != last:
        moved = lists.row[at, last]
        lists.row[at, entry], lists.place[moved] = moved, place
        lists.scale[at, entry], lists.bias[at, entry] = lists.scale[at, last], lists.bias[at, last]
        for d in range(lists.code.shape[2]):
            lists.code[at, entry, d] = lists.code[at, last, d]
    lists.size[at], lists.place[row] = last, -1
    return at


@njit(inline="always", **KERNEL)
def set_half(lists, at):  # type: ignore[no-untyped-def]
    """Write half of the squared norm of the centroid of list ``at``."""
    total = ZERO
    for d in range(lists.centroid.shape[1]):
        total += lists.centroid[at, d] * lists.centroid[at, d]
    lists.half[at] = f4(0.5) * total


@njit(**KERNEL)
def rows_in_order(lists, count, rows):  # type: ignore[no-untyped-def]
    """Write the rows of the first ``count`` lists into ``rows``, list by list."""
    at = 0
    for n in range(count):
        for entry in range(lists.size[n]):
            rows[at] = lists.row[n, entry]
            at += 1


@njit(**KERNEL)
def fill(lists, sizes, rows):  # type: ignore[no-untyped-def]
    """Put ``rows`` into empty lists: the first ``sizes[0]`` into the first list, and so on."""
    at = 0
    for n in range(sizes.shape[0]):
        for _ in range(sizes[n]):
            append(lists, n, rows[at])
            at += 1
