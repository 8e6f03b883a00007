"""The item table: what the net learns of each item, and the kernels that change it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.encoders.encoder import D
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, below, f4

RATE = f4(0.1)
FIRST_ACCUMULATED = 1e-4
NEIGHBOURS, KEPT_RANDOM = 3, f4(0.3)
NO_WINDOW: Ints = np.full(NEIGHBOURS, -1, np.int32)  # [3]


class ItemTable(NamedTuple):
    """What is learned of each item, by row."""

    embedding: Floats  # [capacity, d]
    bias: Floats  # [capacity]
    embedding_seen: Floats  # [capacity] Adagrad's accumulators
    bias_seen: Floats  # [capacity]
    recent: Floats  # [capacity] how often the item is among the recent events
    mark: Ints  # [capacity] scratch: the item's index among those of a step, -1 for none


def new_items(capacity: int) -> ItemTable:
    """A table in which no item is known."""
    return ItemTable(
        np.zeros((capacity, D), np.float32),  # [capacity, d]
        np.zeros(capacity, np.float32),  # [capacity]
        np.full(capacity, FIRST_ACCUMULATED, np.float32),  # [capacity]
        np.full(capacity, FIRST_ACCUMULATED, np.float32),  # [capacity]
        np.zeros(capacity, np.float32),  # [capacity]
        np.full(capacity, -1, np.int32),  # [capacity]
    )


@njit(**KERNEL)
def place_near(items, row, window, random):  # type: ignore[no-untyped-def]
    """Start an item near the last three of the window: 0.7 times their mean + 0.3 times N(0, 1/d).

    Without an item in the window it is N(0, 1/d). A normal number is the sum of twelve uniform
    ones, less six.
    """
    vector, size, near = items.embedding[row], items.embedding.shape[1], 0
    kept = f4(ONE / np.sqrt(f4(size)))
    for place in range(NEIGHBOURS):
        if window[place] >= 0 and window[place] != row:
            near += 1
    if near:
        kept *= KEPT_RANDOM
    for d in range(size):
        total = 0
        for _ in range(12):
            total += below(random, 1 << 20)
        vector[d] = kept * f4(f4(total) * f4(2**-20) - f4(6))
    for place in range(NEIGHBOURS):
        x = window[place]
        if x >= 0 and x != row:
            share = (ONE - KEPT_RANDOM) / f4(near)
            for d in range(size):
                vector[d] += share * items.embedding[x, d]
    items.bias[row] = ZERO


@njit(**KERNEL)
def note(rows, recent, events, items):  # type: ignore[no-untyped-def]
    """Put items into the ring of recent ones, and update how often each is in it."""
    for n in range(rows.shape[0]):
        slot = (events + n) % recent.shape[0]
        if recent[slot] >= 0:
            items.recent[recent[slot]] -= ONE
        recent[slot] = rows[n]
        items.recent[rows[n]] += ONE


@njit(**KERNEL)
def adagrad(items, gradient, bias_gradient, used, scale):  # type: ignore[no-untyped-def]
    """Row-wise Adagrad on the gradient of the mean loss times ``scale``.

    Duchi et al., 2011, with one accumulator per row. ``gradient`` [U, d], ``bias_gradient`` [C] and
    ``used`` [U] are those of the step.
    """
    for u in range(gradient.shape[0]):
        x, total = used[u], ZERO
        for d in range(gradient.shape[1]):
            g = gradient[u, d] * scale
            total += g * g
        items.embedding_seen[x] += total / f4(gradient.shape[1])
        rate = RATE * scale / (np.sqrt(items.embedding_seen[x]) + f4(1e-8))
        for d in range(gradient.shape[1]):
            items.embedding[x, d] -= rate * gradient[u, d]
        if u < bias_gradient.shape[0]:
            g = bias_gradient[u] * scale
            items.bias_seen[x] += g * g
            items.bias[x] -= RATE * g / (np.sqrt(items.bias_seen[x]) + f4(1e-8))
