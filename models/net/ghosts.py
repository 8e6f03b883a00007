"""Ghosts: items of a prefix that the transitions log has not brought yet, known for the time of one ranking.

A worker ranks for an event before the event's own transition has been learned. Where the event is the first ever on its item, the
model would not know what the user looks at right now, and one in four next clicks is on the same item again. So such an item
gets a row past all others, for this query alone, with what its transition will teach of it; after the ranking nothing is left.
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
from models.net.net import Net, begin_near
from models.recommender import QueryLike

SEED = 0x9E3779B97F4A7C15


class Ghost(NamedTuple):
    """One query's item without a row of its own, the ``number``-th of its query."""

    query: int
    number: int
    item: str
    row: int


@contextmanager
def ghosts(memory: Memory, net: Net, queries: Sequence[QueryLike], columns: Columns) -> Iterator[list[Ghost]]:
    """Put into ``columns`` the unknown items of queries that have a known one too, for as long as this is entered."""
    found, height = list[Ghost](), memory.vocabulary.height
    for q in np.flatnonzero((columns.window[:, 0] >= 0) & (columns.window[:, -1] < 0)).tolist():
        prefix = queries[q].prefix[-WINDOW:]
        if (columns.window[q] >= 0).sum() == len(prefix):
            continue
        rows = dict[str, int]()
        for item in prefix:
            known = memory.vocabulary.row(item)
            if known is None and item not in rows:
                number = sum(ghost.query == q for ghost in found[-WINDOW:])
                found.append(Ghost(q, number, item, height + len(found)))
            rows.setdefault(item, found[-1].row if known is None else known)
        columns.window[q, : len(prefix)] = [rows[item] for item in reversed(prefix)]
    memory.vocabulary.items.extend(ghost.item for ghost in found)
    memory.reserve(height + len(found))
    for ghost in found:
        window = columns.window[ghost.query]
        summon(ghost.row, window, memory.events, memory.rows, memory.statistics)
        begin_near(net.items, ghost.row, before(window, ghost.row), np.array([SEED + ghost.number], np.uint64))
    try:
        yield found
    finally:
        del memory.vocabulary.items[height:]
        for ghost in found:
            dispel(ghost.row, memory.rows, memory.statistics)


@njit(**KERNEL)
def before(window, row):  # type: ignore[no-untyped-def]
    """The window as it was before the first interaction with ``row``."""
    earlier = np.full(window.shape[0], -1, np.int32)
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
def summon(row, window, event, rows, statistics):  # type: ignore[no-untyped-def]
    """Count the first interaction with ``row``, as far as it is about that row."""
    earlier = before(window, row)
    for recency in range(earlier.shape[0]):
        if earlier[recency] >= 0:
            learn_pair(rows, row, earlier[recency], recency, False, ONE)
    statistics.popularity[row] = ONE
    for n in range(3):
        statistics.decayed[row, n] = f4(statistics.increment[n])
    statistics.first[row] = statistics.last[row] = event - 1


@njit(**KERNEL)
def dispel(row, rows, statistics):  # type: ignore[no-untyped-def]
    """Leave the row as if nothing had been."""
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
