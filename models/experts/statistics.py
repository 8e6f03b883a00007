"""What is counted of each item: how often and how recently it was seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ONE, Floats, Ints, f4

HALF_LIVES = (500, 2000, 20_000)
"""Of the decayed popularities, in events."""
_GROWTH = np.array([2 ** (1 / half_life) for half_life in HALF_LIVES])
_RESCALE_AT = 1e30


class Statistics(NamedTuple):
    """Counts per item; arrays that kernels change in place.

    A decayed count is kept without touching any other item: instead of shrinking all counts, what one event adds grows.
    Divide ``decayed`` by ``increment`` to read it.
    """

    popularity: Floats  # [capacity]
    decayed: Floats  # [capacity, 3]
    increment: np.ndarray  # float64[3]
    first: Ints  # [capacity] number of the event that the item was first seen in
    last: Ints  # [capacity] and last; -1 for never


def new_statistics(capacity: int) -> Statistics:
    """Nothing counted."""
    return Statistics(
        np.zeros(capacity, np.float32),
        np.zeros((capacity, 3), np.float32),
        np.ones(3),
        np.zeros(capacity, np.int32),
        np.full(capacity, -1, np.int32),
    )


@njit(**KERNEL)
def count_item(statistics, item, event):  # type: ignore[no-untyped-def]
    """Count one interaction with ``item`` in event number ``event``."""
    statistics.popularity[item] += ONE
    increment = statistics.increment
    for n in range(3):
        increment[n] *= _GROWTH[n]
        statistics.decayed[item, n] += f4(increment[n])
        if increment[n] > _RESCALE_AT:
            scale = f4(1 / increment[n])
            for x in range(statistics.decayed.shape[0]):
                statistics.decayed[x, n] *= scale
            increment[n] = 1.0
    if statistics.last[item] < 0:
        statistics.first[item] = event
    statistics.last[item] = event
