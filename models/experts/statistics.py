"""Statistics of each item: how often and how recently it was seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ONE, Floats, Ints, f4

HALF_LIVES = (500, 2000, 20_000)
"""Half-lives of the decayed popularities, in events."""
_GROWTH = np.array([2 ** (1 / half_life) for half_life in HALF_LIVES])  # [3]
_RESCALE_AT = 1e30


class Statistics(NamedTuple):
    """Statistics by row, in arrays that kernels change in place.

    Counting an event changes no other item: instead of shrinking all decayed counts, each event
    adds more than the one before. The decayed popularity is ``decayed`` divided by ``increment``.
    """

    popularity: Floats  # [capacity] interactions
    decayed: Floats  # [capacity, 3] interactions that count less as they age, one column per half-life
    increment: np.ndarray  # float64[3] what the next event adds to `decayed`
    first: Ints  # [capacity] number of the event in which the item was first seen
    last: Ints  # [capacity] number of the event in which it was last seen, -1 for never


def new_statistics(capacity: int) -> Statistics:
    """Statistics in which no item was seen."""
    return Statistics(
        np.zeros(capacity, np.float32),  # [capacity]
        np.zeros((capacity, 3), np.float32),  # [capacity, 3]
        np.ones(3),  # [3]
        np.zeros(capacity, np.int32),  # [capacity]
        np.full(capacity, -1, np.int32),  # [capacity]
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
