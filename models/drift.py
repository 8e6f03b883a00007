"""Drift: the Page-Hinkley test on the hit rate (Page, *Continuous inspection schemes*, Biometrika 1954; Gama et al., 2014)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class PageHinkley:
    """Raises an alarm when the mean of what is added falls.

    The sum of (mean so far - value - ``delta``) grows while values lie below the mean by more than delta; an alarm is raised
    when it is ``threshold`` above its least so far, and all starts again.
    """

    def __init__(self, threshold: float = 40.0, delta: float = 0.1, at_least: int = 30) -> None:
        self.threshold, self.delta, self.at_least = threshold, delta, at_least
        self.count = 0
        self.mean = self.total = self.least = 0.0

    def add(self, value: float) -> bool:
        """Whether this value raises the alarm."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        self.total += self.mean - value - self.delta
        self.least = min(self.least, self.total)
        if self.count < self.at_least or self.total - self.least <= self.threshold:
            return False
        self.count, self.mean, self.total, self.least = 0, 0.0, 0.0, 0.0
        return True

    def state(self) -> NDArray[np.float64]:
        """Everything that changes."""
        return np.array([self.count, self.mean, self.total, self.least], np.float64)

    def restore(self, state: NDArray[np.float64]) -> None:
        """Become what another was."""
        count, self.mean, self.total, self.least = state.tolist()
        self.count = int(count)
