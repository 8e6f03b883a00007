"""The guard of online training: it detects that a model predicts worse than a uniform guess."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMOOTHED_OVER = 50
MOST_EXCESS = 2.0
MOST_HEALTHY = 1.0
BEST, WORST = -1.0, 10.0
SUSPECT = 4.0


class Guard:
    """Follows how much the loss of a softmax exceeds that of a uniform guess, in nats per example.

    A model that has learned anything has an excess below 0. Training has ``diverged`` if the mean
    over some 50 steps is above 2, or if a parameter is not finite. The latter stays so until
    `reset`. A skipped step counts as 10 nats.
    """

    def __init__(self) -> None:
        self.reset()

    @property
    def diverged(self) -> bool:
        """Whether the parameters must be given up."""
        return self._broken or self._level > MOST_EXCESS

    @property
    def healthy(self) -> bool:
        """Whether the parameters are worth a snapshot: the excess is low, on average and last."""
        return not self._broken and self._level < MOST_HEALTHY and self._last < SUSPECT

    def step(self, loss: float, weight: float, candidates: float) -> None:
        """Record a step by its mean loss, mean weight, and candidates per example."""
        self._add(loss / max(weight, 1e-6) - math.log(max(candidates, 1.0)))

    def skip(self, *parameters: NDArray[np.float32]) -> None:
        """Record a step that was skipped, and check that the parameters are finite.

        A step is skipped if its loss or gradient is not finite.
        """
        if not all(finite(array) for array in parameters):
            self._broken = True
        self._add(WORST)

    def reset(self) -> None:
        """Start again with good parameters."""
        self._level, self._last, self._broken = BEST, BEST, False

    def state(self) -> NDArray[np.float64]:
        """All state, float64[2]."""
        return np.array([self._level, self._broken], np.float64)

    def restore(self, state: NDArray[Any] | None) -> None:
        """Take the state of another guard; ``None`` comes from older snapshots, which have none."""
        self._last = BEST
        self._level, self._broken = (BEST, False) if state is None else (float(state[0]), bool(state[1]))

    def _add(self, excess: float) -> None:
        self._last = excess
        self._level += (min(max(excess, BEST), WORST) - self._level) / SMOOTHED_OVER


def finite(array: NDArray[Any]) -> bool:
    """Whether every number in the array is finite."""
    return bool(np.isfinite(array).all())


def norm(array: NDArray[np.float32]) -> float:
    """The Euclidean norm, at half the cost of `finite`.

    It is not finite where a number, or the sum of the squares, is not finite.
    """
    flat = array.reshape(-1)
    return math.sqrt(float(flat @ flat))
