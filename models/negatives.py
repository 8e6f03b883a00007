"""Negatives for the sampled softmax: half from recent events, half uniform, and the chance of each for logQ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class NegativeSampler:
    """Remembers the items of the last ``recent`` events and how often each was among them."""

    def __init__(self, negatives: int = 256, recent: int = 20_000) -> None:
        self._half = negatives // 2
        self._ring = np.zeros(recent, np.int64)
        self._seen = 0
        self._counts = np.zeros(1024, np.float32)

    def see(self, row: int) -> None:
        """An event acted on this item."""
        if row >= len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(max(len(self._counts), row + 1), np.float32)])
        at = self._seen % len(self._ring)
        if self._seen >= len(self._ring):
            self._counts[self._ring[at]] -= 1
        self._ring[at] = row
        self._counts[row] += 1
        self._seen += 1

    def sample(self, rng: np.random.Generator, items: int) -> Rows:
        """Rows of negatives among ``items`` known ones; popular ones repeat."""
        held = min(self._seen, len(self._ring))
        recent = self._ring[rng.integers(0, held, self._half)]
        return np.concatenate([recent, rng.integers(0, items, self._half)])

    def log_q(self, rows: Rows, targets: int, items: int) -> NDArray[np.float32]:
        """Log of the chance that each row is among the candidates of a step with ``targets`` in-batch targets.

        logQ correction (Bengio and Senecal 2008; Yi et al. 2019), for a union of independent draws:
        log(1 - exp(-expected draws)).
        """
        share = self._counts[rows] / max(1, min(self._seen, len(self._ring)))
        expected = (self._half + targets) * share + self._half / items
        return np.log(np.maximum(-np.expm1(-expected), 1e-6)).astype(np.float32)
