"""Adam on one flat vector, with decoupled weight decay and a moving average of the weights.

Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015; the decay is decoupled as in
Loshchilov and Hutter, *Decoupled weight decay regularization*, ICLR 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.kernels.numerics import KERNEL, ONE, Floats, f4
from models.state import State, copy_rows, scalar

BETA_1, BETA_2 = 0.9, 0.999


class Adam:
    """Updates ``weights`` in place.

    ``served`` is their exponential moving average over at most 1 / (1 - ``average``) steps, over
    fewer at the beginning.
    """

    def __init__(self, weights: Floats, rate: float, *, decay: float = 0.0, average: float = 0.0) -> None:
        self.weights = weights  # [P]
        self.served = weights.copy()  # [P]
        self.mean = np.zeros_like(weights)  # [P] of the gradient
        self.square = np.zeros_like(weights)  # [P] mean of the squared gradient
        self.steps = 0
        self._rate, self._decay, self._average = rate, decay, average

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays, by name."""
        return {
            "weights": self.weights, "served": self.served, "mean": self.mean, "square": self.square, "steps": scalar(self.steps)
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Copy the state of another optimiser into the existing arrays."""
        copy_rows((self.weights, self.served, self.mean, self.square), ("weights", "served", "mean", "square"), state)
        self.steps = int(state["steps"][0])

    def step(self, gradient: Floats) -> None:
        """Shrink the weights by rate x decay, and take one step against ``gradient`` [P]."""
        self.steps += 1
        if self._decay:
            self.weights *= f4(1 - self._rate * self._decay)
        corrected_1, corrected_2 = 1 / (1 - BETA_1**self.steps), 1 / (1 - BETA_2**self.steps)
        average = min(self._average, 1 - 1 / (1 + self.steps))
        rate, correction = f4(self._rate * corrected_1), f4(corrected_2)
        _update(self.weights, gradient, self.mean, self.square, rate, correction, self.served, f4(average))


@njit(**KERNEL)
def _update(weights, gradient, mean, square, rate, correction, served, average):  # type: ignore[no-untyped-def]
    n = weights.shape[0]  # one loop per array: LLVM does not vectorise a loop over more of them
    for i in range(n):
        mean[i] = mean[i] * f4(0.9) + gradient[i] * f4(0.1)
    for i in range(n):
        square[i] = square[i] * f4(0.999) + gradient[i] * gradient[i] * f4(0.001)
    for i in range(n):
        weights[i] -= rate * mean[i] / (np.sqrt(square[i] * correction) + f4(1e-8))
    for i in range(n):
        served[i] = served[i] * average + weights[i] * (ONE - average)
