"""A batch of queries in columns: the form in which kernels read sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.kernels.numerics import Floats, Ints

WINDOW = 10
"""Items of a prefix that are looked at."""


class Columns(NamedTuple):
    """One row per query; ``target`` and ``weight`` are of the transition, where the query belongs to one."""

    window: Ints  # [B, 10] rows of the last items, most recent first, -1 padded
    length: Ints  # [B] interactions in the session
    dwell: Floats  # [B] seconds between the last two of them, -1 for none
    target: Ints  # [B] row of the item that came, or -1
    weight: Floats  # [B]

    @property
    def warm(self) -> Ints:
        """The queries with a known item, by place."""
        return np.flatnonzero(self.window[:, 0] >= 0).astype(np.int32)


def columns(
    windows: Sequence[Sequence[int]],
    lengths: Sequence[int],
    dwells: Sequence[float],
    targets: Sequence[int],
    weights: Sequence[float],
) -> Columns:
    """One query per place; every window is padded to its full length."""
    return Columns(
        np.array(windows, np.int32).reshape(-1, WINDOW),
        np.array(lengths, np.int32),
        np.array(dwells, np.float32),
        np.array(targets, np.int32),
        np.array(weights, np.float32),
    )
