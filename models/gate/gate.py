"""The gate: it scores candidates from their features, and learns from the queries whose answer came.

score = linear(features) + MLP(features), the MLP of two hidden layers of 32 with SiLU. Listwise cross-entropy over a query's
candidates; queries are kept in a ring and replayed. What serves is a moving average of the weights.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.gate.candidates import Found
from models.gate.features import FEATURES, FIXED_SUM, NET_LOG_PROBABILITY
from models.gate.ring import Ring, gather, keep
from models.kernels.adam import Adam
from models.kernels.linear import add_product, multiply
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Keys, exp, f4, sigmoid
from models.net.guard import Guard, norm
from models.state import State, copy_rows, nested, part, scalar

F, H = len(FEATURES), 32
RATE = 3e-3
AVERAGE = 0.99
RELIANCE_QUERIES = 500


class GateWeights(NamedTuple):
    """Views into one flat vector."""

    w1: Floats  # [F, H]
    b1: Floats  # [H]
    w2: Floats  # [H, H]
    b2: Floats  # [H]
    w3: Floats  # [H]
    linear: Floats  # [F]


SIZES = (F * H, H, H * H, H, H, F)


def views(flat: Floats) -> GateWeights:
    """The parts of a flat vector of weights or of their gradient."""
    w1, b1, w2, b2, w3, linear = np.split(flat, np.cumsum(SIZES)[:-1])
    return GateWeights(w1.reshape(F, H), b1, w2.reshape(H, H), b2, w3, linear)


class Gate:
    """Scores and learns. ``kept`` candidates of a query are stored: the best by its score, and ``at_random`` others."""

    def __init__(
        self,
        seed: int,
        *,
        kept: int = 40,
        at_random: int = 8,
        replayed: int = 3,
        steps: int = 2,
        ring: int = 4096,
        most: int = 16,
    ) -> None:
        self.kept, self.at_random, self.replayed, self.steps, self.most = kept, at_random, replayed, steps, most
        self.optimiser = Adam(_initial(seed), RATE, average=AVERAGE)
        self.weights, self.served = views(self.optimiser.weights), views(self.optimiser.served)
        self.ring = Ring(
            np.zeros((ring, kept, F), np.float32), np.zeros(ring, np.int32), np.zeros(ring, np.int32), np.zeros(ring, np.float32)
        )
        self.stored = self.skipped = 0
        self.random = np.array([88172645463325252 + seed * 7919], np.uint64)
        self.loss = math.nan
        self.guard = Guard()
        self._gradient = np.zeros(sum(SIZES), np.float32)
        self._parts = views(self._gradient)
        rows = (1 + replayed) * most * kept
        self._x = np.zeros((rows, F), np.float32)
        self._hidden = [np.zeros((rows, H), np.float32) for _ in range(5)]
        self._scores = np.zeros(rows, np.float32)
        self._counts, self._answers = (np.zeros((1 + replayed) * most, np.int32) for _ in range(2))
        self._weights = np.zeros((1 + replayed) * most, np.float32)
        self._forward = [np.zeros((0, H), np.float32) for _ in range(2)]

    def scores(self, features: Floats) -> Floats:
        """Scores [N] of features [N, F], by the averaged weights."""
        n, w = len(features), self.served
        if n > len(self._forward[0]):
            self._forward = [np.zeros((n, H), np.float32) for _ in range(2)]
        a, b = (hidden[:n] for hidden in self._forward)
        silu(multiply(features, w.w1, a), w.b1)
        silu(multiply(a, w.w2, b), w.b2)
        result = np.zeros(n, np.float32)
        add_product(b, w.w3, result)
        return add_product(features, w.linear, result)

    def keep(self, found: Found, scores: Floats, weights: Floats, keys: Keys) -> int:
        """Store the queries of a step that have a weight and whose answer is among what is kept; returns how many."""
        stored = keep(
            self.ring,
            self.stored,
            found.features,
            scores,
            found.answers,
            found.starts,
            weights,
            self.at_random,
            self.random,
            keys,
        )
        self.stored += int(stored)
        return int(stored)

    def flush(self) -> None:
        """Forget the stored queries."""
        self.stored = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by name; of the ring what is stored."""
        held = min(self.stored, len(self.ring.answer))
        ring = {name: array[:held] for name, array in zip(Ring._fields, self.ring, strict=True)}
        numbers = {
            "random": self.random,
            "stored": scalar(self.stored),
            "skipped": scalar(self.skipped),
            "loss": scalar(float(self.loss)),
            "guard": self.guard.state(),
        }
        return numbers | nested(adam=self.optimiser.state(), ring=ring)

    def restore(self, state: State) -> None:
        """Become what another was."""
        self.stored, self.skipped, self.loss = int(state["stored"][0]), int(state["skipped"][0]), float(state["loss"][0])
        self.random[:] = state["random"]
        self.guard.restore(state.get("guard"))
        self.optimiser.restore(part(state, "adam"))
        copy_rows(self.ring, Ring._fields, part(state, "ring"))

    def rollback(self, good: State) -> None:
        """Take the weights of an earlier state, and forget the stored queries: what they hold of the net went wrong with it."""
        self.optimiser.restore(part(good, "adam"))
        self.guard.reset()
        self.flush()

    def reliance(self) -> list[tuple[str, float]]:
        """How much each feature sways the scores: the mean size of its part in them, over what is stored, as shares.

        A feature's part is what the score loses when the feature is set to its mean over the query's candidates.
        """
        held = min(self.stored, len(self.ring.answer), RELIANCE_QUERIES)
        total = np.zeros(F)
        for slot in range(held):
            x = self.ring.features[slot, : self.ring.candidates[slot]]
            score, mean = self.scores(x), x.mean(0)
            for column in range(F):
                without = x.copy()
                without[:, column] = mean[column]
                total[column] += float(np.abs(score - self.scores(without)).mean())
        shares = total / max(float(total.sum()), 1e-12)
        return sorted(((FEATURES[column], float(shares[column])) for column in range(F)), key=lambda pair: -pair[1])

    def learn(self, fresh: int) -> None:
        """Take some steps after ``fresh`` queries were stored: the first on them and on replayed ones, the others on replayed."""
        if not fresh:
            return
        for step in range(self.steps):
            queries, rows = gather(
                self.ring, self.stored, fresh if step == 0 else 0, fresh * self.replayed, self.random,
                self._x, self._counts, self._answers, self._weights,
            )  # fmt: skip
            if queries:
                self._step(queries, rows)

    def _step(self, queries: int, rows: int) -> None:
        w, g = self.weights, self._parts
        x, scores = self._x[:rows], self._scores[:rows]
        a1, a2, d1, d2, back = (hidden[:rows] for hidden in self._hidden)
        silu_with_slope(multiply(x, w.w1, a1), w.b1, d1)
        silu_with_slope(multiply(a1, w.w2, a2), w.b2, d2)
        scores[:] = 0
        add_product(x, w.linear, add_product(a2, w.w3, scores))
        loss = listwise(scores, self._counts[:queries], self._answers[:queries], self._weights[:queries])
        if not math.isfinite(loss):
            self._skip()
            return
        # the scores have become their gradient
        g.w3[:], g.linear[:] = 0, 0
        add_product(a2.T, scores, g.w3)
        add_product(x.T, scores, g.linear)
        spread(scores, w.w3, d2, g.b2)  # d2 becomes the gradient at the second layer's input
        multiply(a1.T, d2, g.w2)
        through(multiply(d2, w.w2.T, back), d1, g.b1)  # back becomes the gradient at the first layer's input
        multiply(x.T, back, g.w1)
        if not math.isfinite(norm(self._gradient)):
            self._skip()
            return
        self.loss = loss
        self.guard.step(loss, float(self._weights[:queries].mean()), rows / queries)
        self.optimiser.step(self._gradient)

    def _skip(self) -> None:
        self.skipped += 1
        self.guard.skip(self.optimiser.weights)


def _initial(seed: int) -> Floats:
    """It starts as the fixed sum and the net's log-probability, the MLP all but silent."""
    rng, flat = np.random.default_rng(seed + 7), np.zeros(sum(SIZES), np.float32)
    w, narrow = views(flat), 1 / math.sqrt(H)
    w.w1[:], w.b1[:] = rng.uniform(-0.125, 0.125, w.w1.shape), rng.uniform(-0.125, 0.125, H)
    w.w2[:], w.b2[:] = rng.uniform(-narrow, narrow, w.w2.shape), rng.uniform(-narrow, narrow, H)
    w.w3[:] = 0.1 * rng.uniform(-narrow, narrow, H)
    w.linear[NET_LOG_PROBABILITY], w.linear[FIXED_SUM] = 0.5 / 0.3, 0.7
    return flat


@njit(**KERNEL)
def silu(a, bias):  # type: ignore[no-untyped-def]
    """a = y sigmoid(y) of y = a + bias (Elfwing et al. 2018), in place."""
    for q in range(a.shape[0]):
        for h in range(a.shape[1]):
            y = a[q, h] + bias[h]
            a[q, h] = y * sigmoid(y)


@njit(**KERNEL)
def silu_with_slope(a, bias, slope):  # type: ignore[no-untyped-def]
    """The same, and its derivative into ``slope``."""
    for q in range(a.shape[0]):
        for h in range(a.shape[1]):
            y = a[q, h] + bias[h]
            s = sigmoid(y)
            slope[q, h] = s * (ONE + y * (ONE - s))
            a[q, h] = y * s


@njit(**KERNEL)
def listwise(scores, counts, answers, weights):  # type: ignore[no-untyped-def]
    """Mean weighted cross-entropy of the answers, each within its query's candidates; the scores become its gradient."""
    start, loss = 0, ZERO
    for j in range(counts.shape[0]):
        end, largest, share = start + counts[j], f4(-1e30), weights[j] / f4(counts.shape[0])
        for q in range(start, end):
            largest = max(largest, scores[q])
        total, right = ZERO, scores[start + answers[j]]
        for q in range(start, end):
            scores[q] = exp(scores[q] - largest)
            total += scores[q]
        loss += share * (f4(np.log(total)) + largest - right)
        for q in range(start, end):
            scores[q] *= share / total
        scores[start + answers[j]] -= share
        start = end
    return loss


@njit(**KERNEL)
def spread(gradient, w3, slope, bias_gradient):  # type: ignore[no-untyped-def]
    """slope = gradient[:, None] * w3 * slope, and its sum over rows."""
    bias_gradient[:] = ZERO
    for q in range(slope.shape[0]):
        for h in range(slope.shape[1]):
            value = gradient[q] * w3[h] * slope[q, h]
            slope[q, h] = value
            bias_gradient[h] += value


@njit(**KERNEL)
def through(gradient, slope, bias_gradient):  # type: ignore[no-untyped-def]
    """gradient *= slope, and its sum over rows."""
    bias_gradient[:] = ZERO
    for q in range(slope.shape[0]):
        for h in range(slope.shape[1]):
            gradient[q, h] *= slope[q, h]
            bias_gradient[h] += gradient[q, h]
