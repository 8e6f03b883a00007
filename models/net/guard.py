"""The guard of online training: whether what learns still does better than knowing nothing."""

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
    """Follows the excess of a softmax's loss over that of a guess among its candidates, in nats per example.

    What has learned anything lies below 0. ``diverged`` once the mean over some 50 steps is above 2, or a parameter is not
    finite; it stays so until `reset`. A step that had to be skipped counts as 10 nats.
    """

    def __init__(self) -> None:
        self.reset()

    @property
    def diverged(self) -> bool:
        """Whether the parameters are to be given up."""
        return self._broken or self._level > MOST_EXCESS

    @property
    def healthy(self) -> bool:
        """Whether the parameters may be kept to go back to: neither of late nor just now far worse than a guess."""
        return not self._broken and self._level < MOST_HEALTHY and self._last < SUSPECT

    def step(self, loss: float, weight: float, candidates: float) -> None:
        """A step was taken with this loss, of examples of this mean weight, each among so many candidates."""
        self._add(loss / max(weight, 1e-6) - math.log(max(candidates, 1.0)))

    def skip(self, *parameters: NDArray[np.float32]) -> None:
        """A step was left out because its loss or gradient was not finite, perhaps as one of these parameters is not."""
        self._broken = not all(finite(array) for array in parameters)
        self._add(WORST)

    def reset(self) -> None:
        """Good parameters have been put in place."""
        self._level, self._last, self._broken = BEST, BEST, False

    def state(self) -> NDArray[np.float64]:
        """Everything that changes."""
        return np.array([self._level, self._broken], np.float64)

    def restore(self, state: NDArray[Any] | None) -> None:
        """Become what another was; older snapshots have no guard."""
        self._last = BEST
        self._level, self._broken = (BEST, False) if state is None else (float(state[0]), bool(state[1]))

    def _add(self, excess: float) -> None:
        self._last = excess
        self._level += (min(max(excess, BEST), WORST) - self._level) / SMOOTHED_OVER


def finite(array: NDArray[Any]) -> bool:
    """Whether every number is."""
    return bool(np.isfinite(array).all())


def norm(array: NDArray[np.float32]) -> float:
    """The Euclidean norm; not finite where a number, or the sum of their squares, is not. Half as dear as `finite`."""
    flat = array.reshape(-1)
    return math.sqrt(float(flat @ flat))
