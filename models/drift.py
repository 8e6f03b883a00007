"""Drift detection by the Page-Hinkley test on the hit rate.

Page, *Continuous inspection schemes*, Biometrika 1954; Gama et al., 2014.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class PageHinkley:
    """Raises an alarm when the mean of a series falls.

    The sum of (mean so far - value - ``delta``) grows while values are more than ``delta`` below
    the mean. The alarm is raised when the sum exceeds its lowest value so far by more than
    ``threshold``, but not before the value number ``at_least``. Then the test starts again.
    """

    def __init__(self, threshold: float = 40.0, delta: float = 0.1, at_least: int = 30) -> None:
        self.threshold, self.delta, self.at_least = threshold, delta, at_least
        self.count = 0
        self.mean = self.total = self.least = 0.0

    def add(self, value: float) -> bool:
        """Add a value; returns whether it raises the alarm."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        self.total += self.mean - value - self.delta
        self.least = min(self.least, self.total)
        if self.count < self.at_least or self.total - self.least <= self.threshold:
            return False
        self.count, self.mean, self.total, self.least = 0, 0.0, 0.0, 0.0
        return True

    def state(self) -> NDArray[np.float64]:
        """All state, float64[4]."""
        return np.array([self.count, self.mean, self.total, self.least], np.float64)

    def restore(self, state: NDArray[np.float64]) -> None:
        """Take the state of another test. Raises ``ValueError`` if it has no number of values."""
        count, self.mean, self.total, self.least = state.tolist()
        if count < 0:
            raise ValueError(f"the drift test has seen {count:g} values")
        self.count = int(count)
