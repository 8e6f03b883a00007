"""The sparse experts: each item has a bounded row of other items, with a count for each expert.

One row serves six experts, so an event touches each of its pairs once. A pair of the item `source`
and another item that came `recency` steps later or earlier in a session (0: adjacent) adds
weight / (1 + recency) to

- MARKOV: the other item comes right after `source` (recency 0 only);
- RULES: it comes within ten steps after `source` (sequential rules: Kamehkhosh et al., *A
  comparison of frequent pattern techniques and a deep learning method for session-based
  recommendation*, 2017);
- COOCCURRENCE: it comes within ten steps of `source`, before or after;
- FAST_RULES, FAST_MARKOV: as RULES and MARKOV, but older counts fade. Each adjacent pair makes the
  row's later increments 1/0.95 times as large, which has the effect of shrinking earlier counts;
- BACKWARD: it comes before `source`.

A full row drops the slot with the smallest COOCCURRENCE. A slot has 28 bytes, a row of 64 slots has
1.8 kB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, f4

EXPERTS = ("markov", "rules", "cooccurrence", "fast_rules", "fast_markov", "backward")
MARKOV, RULES, COOCCURRENCE, FAST_RULES, FAST_MARKOV, BACKWARD = range(6)
_GROWTH = f4(1 / 0.95)
_RESCALE_AT = f4(1e6)


class Rows(NamedTuple):
    """The rows of all items, with M slots each, in arrays that kernels change in place."""

    item: Ints  # [capacity, M] the other item of a slot
    weight: Floats  # [capacity, M, 6] the slot's count for each expert
    total: Floats  # [capacity, 6] sum over the row's slots
    used: Ints  # [capacity] slots in use
    increment: Floats  # [capacity] what the next adjacent pair adds to the fast experts


def new_rows(capacity: int, slots: int) -> Rows:
    """Empty rows."""
    return Rows(
        np.full((capacity, slots), -1, np.int32),  # [capacity, M]
        np.zeros((capacity, slots, 6), np.float32),  # [capacity, M, 6]
        np.zeros((capacity, 6), np.float32),  # [capacity, 6]
        np.zeros(capacity, np.int32),  # [capacity]
        np.ones(capacity, np.float32),  # [capacity]
    )


@njit(**KERNEL)
def learn_pair(rows, source, other, recency, forward, weight):  # type: ignore[no-untyped-def]
    """Count in the row of ``source`` that ``other`` came ``recency`` steps later or earlier.

    ``forward`` means later.
    """
    slot = _slot(rows, source, other)
    counts, total = rows.weight[source, slot], rows.total[source]
    gain = weight / f4(1 + recency)
    counts[COOCCURRENCE] += gain
    total[COOCCURRENCE] += gain
    if not forward:
        counts[BACKWARD] += gain
        total[BACKWARD] += gain
        return
    counts[RULES] += gain
    total[RULES] += gain
    if recency == 0:
        rows.increment[source] *= _GROWTH
    increment = rows.increment[source]
    counts[FAST_RULES] += gain * increment
    total[FAST_RULES] += gain * increment
    if recency == 0:
        counts[MARKOV] += weight
        total[MARKOV] += weight
        counts[FAST_MARKOV] += weight * increment
        total[FAST_MARKOV] += weight * increment
    if increment > _RESCALE_AT:
        _rescale(rows, source)


@njit(inline="always", **KERNEL)
def _slot(rows, source, other):  # type: ignore[no-untyped-def]
    """The slot of ``other`` in the row of ``source``; it is made if there is none."""
    items, used = rows.item[source], rows.used[source]
    for slot in range(used):
        if items[slot] == other:
            return slot
    weights = rows.weight[source]
    if used < items.shape[0]:
        slot = used
        rows.used[source] = used + 1
    else:
        slot, smallest = 0, weights[0, COOCCURRENCE]
        for candidate in range(1, used):
            if weights[candidate, COOCCURRENCE] < smallest:
                slot, smallest = candidate, weights[candidate, COOCCURRENCE]
        for expert in range(6):
            rows.total[source, expert] -= weights[slot, expert]
    items[slot] = other
    for expert in range(6):
        weights[slot, expert] = ZERO
    return slot


@njit(inline="always", **KERNEL)
def _rescale(rows, source):  # type: ignore[no-untyped-def]
    """Divide the fast experts' counts by the increment, before they exceed single precision."""
    scale = ONE / rows.increment[source]
    for slot in range(rows.used[source]):
        rows.weight[source, slot, FAST_RULES] *= scale
        rows.weight[source, slot, FAST_MARKOV] *= scale
    rows.total[source, FAST_RULES] *= scale
    rows.total[source, FAST_MARKOV] *= scale
    rows.increment[source] = ONE


@njit(**KERNEL)
def learn_item(rows, window, item, weight):  # type: ignore[no-untyped-def]
    """Count an interaction with ``item`` after ``window`` int32[10], unless its weight is 0."""
    if weight == ZERO:
        return
    for recency in range(window.shape[0]):
        before = window[recency]
        if before < 0:
            return
        learn_pair(rows, before, item, recency, True, weight)
        if before != item:
            learn_pair(rows, item, before, recency, False, weight)


@njit(**KERNEL)
def evict_items(rows, evicted):  # type: ignore[no-untyped-def]
    """Empty the rows marked in ``evicted`` bool[capacity], and remove their items elsewhere."""
    for source in range(rows.used.shape[0]):
        if evicted[source]:
            rows.used[source] = 0
            rows.increment[source] = ONE
            for expert in range(6):
                rows.total[source, expert] = ZERO
            continue
        slot = 0
        while slot < rows.used[source]:
            if not evicted[rows.item[source, slot]]:
                slot += 1
                continue
            last = rows.used[source] - 1
            for expert in range(6):
                rows.total[source, expert] -= rows.weight[source, slot, expert]
                rows.weight[source, slot, expert] = rows.weight[source, last, expert]
            rows.item[source, slot] = rows.item[source, last]
            rows.used[source] = last


@njit(**KERNEL)
def soften(rows, scale):  # type: ignore[no-untyped-def]
    """Multiply every count by ``scale``: the experts' part of a soft reset."""
    for source in range(rows.used.shape[0]):
        for expert in range(6):
            rows.total[source, expert] *= scale
        for slot in range(rows.used[source]):
            for expert in range(6):
                rows.weight[source, slot, expert] *= scale
