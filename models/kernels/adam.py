"""Adam on one flat vector of parameters (Kingma and Ba, *Adam*, ICLR 2015), with decoupled decay and an average to serve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.kernels.numerics import KERNEL, ONE, Floats, f4
from models.state import State, copy_rows, scalar

BETA_1, BETA_2 = 0.9, 0.999


class Adam:
    """Updates ``weights`` in place. ``served`` is their exponential moving average, short at first; ``steps`` counts."""

    def __init__(self, weights: Floats, rate: float, *, decay: float = 0.0, average: float = 0.0) -> None:
        self.weights = weights
        self.served = weights.copy()
        self.mean = np.zeros_like(weights)
        self.square = np.zeros_like(weights)
        self.steps = 0
        self._rate, self._decay, self._average = rate, decay, average

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by name."""
        return {
            "weights": self.weights, "served": self.served, "mean": self.mean, "square": self.square, "steps": scalar(self.steps)
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Become what another was; the arrays stay the same ones."""
        copy_rows((self.weights, self.served, self.mean, self.square), ("weights", "served", "mean", "square"), state)
        self.steps = int(state["steps"][0])

    def step(self, gradient: Floats) -> None:
        """One update. ``decay`` shrinks the weights by rate x decay, apart from the gradient (Loshchilov and Hutter, 2019)."""
        self.steps += 1
        if self._decay:
            self.weights *= f4(1 - self._rate * self._decay)
        corrected_1, corrected_2 = 1 / (1 - BETA_1**self.steps), 1 / (1 - BETA_2**self.steps)
        average = min(self._average, 1 - 1 / (1 + self.steps))
        _update(
            self.weights,
            gradient,
            self.mean,
            self.square,
            f4(self._rate * corrected_1),
            f4(corrected_2),
            self.served,
            f4(average),
        )


@njit(**KERNEL)
def _update(weights, gradient, mean, square, rate, correction, served, average):  # type: ignore[no-untyped-def]
    n = weights.shape[0]  # one loop each: with more arrays in one, LLVM gives up vectorising
    for i in range(n):
        mean[i] = mean[i] * f4(0.9) + gradient[i] * f4(0.1)
    for i in range(n):
        square[i] = square[i] * f4(0.999) + gradient[i] * gradient[i] * f4(0.001)
    for i in range(n):
        weights[i] -= rate * mean[i] / (np.sqrt(square[i] * correction) + f4(1e-8))
    for i in range(n):
        served[i] = served[i] * average + weights[i] * (ONE - average)
