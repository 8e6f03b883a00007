"""Queries as columns of numbers: the form in which kernels read sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.kernels.numerics import Floats, Ints

WINDOW = 10
"""How many items of a prefix the experts use: the last ten."""


class Columns(NamedTuple):
    """A batch of B queries.

    ``target`` and ``weight`` are those of the transition, if the query belongs to one.
    """

    window: Ints  # [B, 10] rows of the last known items, most recent first, -1 padded
    length: Ints  # [B] interactions in the session
    dwell: Floats  # [B] seconds between the last two of them, -1 if there are fewer
    target: Ints  # [B] row of the next item, or -1
    weight: Floats  # [B] weight of the event type

    @property
    def warm(self) -> Ints:
        """Indices [A] of the queries with at least one known item."""
        return np.flatnonzero(self.window[:, 0] >= 0).astype(np.int32)

    def take(self, places: Sequence[int]) -> Columns:
        """The queries at these ascending indices."""
        if len(places) == len(self.target):
            return self
        window, length, dwell, target, weight = self
        return Columns(window[places], length[places], dwell[places], target[places], weight[places])


def columns(
    windows: Sequence[Sequence[int]],
    lengths: Sequence[int],
    dwells: Sequence[float],
    targets: Sequence[int],
    weights: Sequence[float],
) -> Columns:
    """Make columns of lists with one entry per query; every window has ten entries."""
    return Columns(
        np.array(windows, np.int32).reshape(-1, WINDOW),  # [B, 10]
        np.array(lengths, np.int32),  # [B]
        np.array(dwells, np.float32),  # [B]
        np.array(targets, np.int32),  # [B]
        np.array(weights, np.float32),  # [B]
    )
