"""Choosing the list of a row: that of the nearest centroid, which follows its rows."""

from __future__ import annotations

from numba import njit

from models.index.lists import LEAST, MOST, NOWHERE, append, remove, set_half
from models.index.split import distance, split
from models.kernels.numerics import KERNEL, ONE, f4


@njit(**KERNEL)
def assign(lists, used, rows, products, embedding, bias, orphans):  # type: ignore[no-untyped-def]
    """Put each of ``rows`` [N] into the list of its nearest centroid, wherever it was before.

    ``used`` is the number of lists ever used; there must be room for N more. ``products`` [N, used]
    are those of the rows' vectors and the centroids. A list that becomes too small is dissolved:
    its rows go to ``orphans``, which has room for N * LEAST. Returns ``used`` and the number of
    orphans.
    """
    lost = 0
    for n in range(rows.shape[0]):
        row, nearest = rows[n], _nearest(products[n], lists.half)
        place = lists.place[row]
        if place < 0 or place // MOST != nearest:
            if place >= 0:
                left = remove(lists, row)
                if lists.size[left] < LEAST and used > 1:
                    lost = dissolve(lists, left, orphans, lost)
            append(lists, nearest, row)
        _follow(lists, nearest, embedding[row], bias[row])
        if lists.size[nearest] == MOST:
            new = _unused(lists, used)
            used = max(used, new + 1)
            split(lists, nearest, new, embedding, bias)
    return used, lost


@njit(**KERNEL)
def _nearest(products, half):  # type: ignore[no-untyped-def]
    """The list of the nearest centroid; ``products`` [used] become half of minus the distances.

    The distances lack the part that is the same for every list.
    """
    most = -NOWHERE
    for at in range(products.shape[0]):
        products[at] -= half[at]
    for at in range(products.shape[0]):
        most = max(most, products[at])
    for at in range(products.shape[0]):
        if products[at] == most:
            return at
    return 0


@njit(**KERNEL)
def strayed(lists, rows, embedding, bias, far):  # type: ignore[no-untyped-def]
    """Write those of ``rows`` that are farther from their centroid than is usual into ``far``.

    Returns how many. Rows in no list are left out.
    """
    count = 0
    for n in range(rows.shape[0]):
        row = rows[n]
        if lists.place[row] >= 0:
            at = lists.place[row] // MOST
            if distance(lists.centroid[at], embedding[row], bias[row]) > lists.spread[at]:
                far[count] = row
                count += 1
    return count


@njit(**KERNEL)
def dissolve(lists, at, orphans, lost):  # type: ignore[no-untyped-def]
    """Take all rows out of a list, which is not in use then. Returns the number of orphans."""
    for entry in range(lists.size[at]):
        row = lists.row[at, entry]
        lists.place[row] = -1
        orphans[lost] = row
        lost += 1
    lists.size[at], lists.half[at] = 0, NOWHERE
    return lost


@njit(**KERNEL)
def drop(lists, used, rows, orphans):  # type: ignore[no-untyped-def]
    """Take ``rows`` [N] out of their lists, and dissolve those that become too small.

    Returns the number of orphans. There must be room for (N + 1) * LEAST.
    """
    lost = 0
    for n in range(rows.shape[0]):
        if lists.place[rows[n]] >= 0:
            remove(lists, rows[n])
    for at in range(used):
        if 0 < lists.size[at] < LEAST and used > 1:
            lost = dissolve(lists, at, orphans, lost)
        elif lists.size[at] == 0:
            lists.half[at] = NOWHERE
    return lost


@njit(**KERNEL)
def _follow(lists, at, vector, b):  # type: ignore[no-untyped-def]
    """Move the centroid of list ``at`` towards a row's vector, as a running mean of the list."""
    share, centroid, last = ONE / f4(lists.size[at]), lists.centroid[at], vector.shape[0]
    lists.spread[at] += share * (distance(centroid, vector, b) - lists.spread[at])
    for d in range(last):
        centroid[d] += share * (vector[d] - centroid[d])
    centroid[last] += share * (b - centroid[last])
    set_half(lists, at)


@njit(**KERNEL)
def _unused(lists, used):  # type: ignore[no-untyped-def]
    """The first list that is not in use."""
    for at in range(used):
        if lists.size[at] == 0:
            return at
    return used
