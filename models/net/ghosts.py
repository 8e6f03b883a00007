"""Ghosts: items that the transitions log has not delivered yet, added for one ranking.

A worker ranks for an event before it has learned the event's own transition. If this is the first
event ever on its item, the model does not know the item that the user is looking at, although one
in four next clicks is on the same item again. Such an item therefore gets a temporary row beyond
all others, with the counts that its transition will bring. Only the query that names it uses the
row, and after the ranking the model is as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numba import njit

from models.experts.columns import WINDOW, Columns
from models.experts.memory import Memory
from models.experts.rows import learn_pair
from models.kernels.numerics import KERNEL, ONE, ZERO, f4
from models.net.items import place_near
from models.net.net import Net
from models.recommender import QueryLike

SEED = 0x9E3779B97F4A7C15


class Ghost(NamedTuple):
    """An item with a temporary row, for one query only."""

    query: int  # index of the query
    number: int  # index among the query's ghosts
    item: str
    row: int


@contextmanager
def ghosts(memory: Memory, net: Net, queries: Sequence[QueryLike], columns: Columns) -> Iterator[list[Ghost]]:
    """Add unknown items to the model and to ``columns``, until the block ends.

    These are the items of queries that also have a known one.
    """
    added, height = list[Ghost](), memory.vocabulary.height
    for q in np.flatnonzero((columns.window[:, 0] >= 0) & (columns.window[:, -1] < 0)).tolist():
        prefix = queries[q].prefix[-WINDOW:]
        if (columns.window[q] >= 0).sum() == len(prefix):
            continue
        rows = dict[str, int]()
        for item in prefix:
            known = memory.vocabulary.row(item)
            if known is None and item not in rows:
                number = sum(ghost.query == q for ghost in added[-WINDOW:])
                added.append(Ghost(q, number, item, height + len(added)))
            rows.setdefault(item, added[-1].row if known is None else known)
        columns.window[q, : len(prefix)] = [rows[item] for item in reversed(prefix)]
    memory.vocabulary.items.extend(ghost.item for ghost in added)
    memory.reserve(height + len(added))
    for ghost in added:
        window = columns.window[ghost.query]  # [10]
        count_ghost(ghost.row, window, memory.counts)
        place_near(net.items, ghost.row, before(window, ghost.row), np.array([SEED + ghost.number], np.uint64))
    try:
        yield added
    finally:
        del memory.vocabulary.items[height:]
        for ghost in added:
            clear_ghost(ghost.row, memory.counts)


@njit(**KERNEL)
def before(window, row):  # type: ignore[no-untyped-def]
    """The window int32[10] as it was before the first interaction with ``row``."""
    earlier = np.full(window.shape[0], -1, np.int32)  # [10]
    size = 0
    for recency in range(window.shape[0]):
        if window[recency] == row:
            size = 0
        elif window[recency] >= 0:
            earlier[size] = window[recency]
            size += 1
    earlier[size:] = -1
    return earlier


@njit(**KERNEL)
def count_ghost(row, window, counts):  # type: ignore[no-untyped-def]
    """Count the first interaction with ``row``, in the row itself and nowhere else."""
    rows, statistics = counts.rows, counts.statistics
    earlier = before(window, row)  # [10]
    for recency in range(earlier.shape[0]):
        if earlier[recency] >= 0:
            learn_pair(rows, row, earlier[recency], recency, False, ONE)
    statistics.popularity[row] = ONE
    for n in range(3):
        statistics.decayed[row, n] = f4(statistics.increment[n])
    statistics.first[row] = statistics.last[row] = counts.events - 1


@njit(**KERNEL)
def clear_ghost(row, counts):  # type: ignore[no-untyped-def]
    """Empty the row again."""
    rows, statistics = counts.rows, counts.statistics
    for slot in range(rows.used[row]):
        rows.item[row, slot] = -1
        for expert in range(6):
            rows.weight[row, slot, expert] = ZERO
    rows.used[row] = 0
    for expert in range(6):
        rows.total[row, expert] = ZERO
    statistics.popularity[row] = ZERO
    for n in range(3):
        statistics.decayed[row, n] = ZERO
    statistics.first[row], statistics.last[row] = 0, -1
