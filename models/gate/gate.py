"""The gate: it scores candidates by their features, and learns from answered queries.

score = linear(features) + MLP(features); the MLP has two hidden layers of 32 with SiLU. The loss is
the listwise cross-entropy over a query's candidates. Queries are stored in a ring and replayed.
Rankings use a moving average of the weights.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.gate.batch import Candidates, F
from models.gate.features import FEATURES, FIXED_SUM, NET_LOG_PROBABILITY
from models.gate.ring import Ring, gather, keep, new_replayed, new_ring
from models.kernels.adam import Adam
from models.kernels.linear import add_product, multiply
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Keys, exp, f4, sigmoid
from models.layout import check_lengths, check_range
from models.net.guard import Guard, norm
from models.profile import Profile
from models.state import State, copy_rows, nested, part, scalar

H = 32
RATE = 3e-3
AVERAGE = 0.99
STORED = 4096
"""Queries that the ring keeps."""
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
    """Views of the parts of a flat vector of weights, or of their gradient."""
    w1, b1, w2, b2, w3, linear = np.split(flat, np.cumsum(SIZES)[:-1])
    return GateWeights(w1.reshape(F, H), b1, w2.reshape(H, H), b2, w3, linear)


class Gate:
    """Scores candidates, and learns from stored queries."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self.at_random, self.replayed, self.steps = profile.gate_at_random, profile.gate_replayed, profile.gate_steps
        self.optimiser = Adam(_initial(seed), RATE, average=AVERAGE)
        self.weights, self.served = views(self.optimiser.weights), views(self.optimiser.served)
        self.ring = new_ring(STORED, profile.gate_kept)
        self.stored = self.skipped = 0
        self.random = np.array([88172645463325252 + seed * 7919], np.uint64)  # [1]
        self.loss = math.nan
        self.guard = Guard()
        self._gradient = np.zeros(sum(SIZES), np.float32)  # [P]
        self._parts = views(self._gradient)
        self._replayed = new_replayed((1 + self.replayed) * profile.step_size, profile.gate_kept)
        rows = len(self._replayed.features)
        self._hidden = [np.zeros((rows, H), np.float32) for _ in range(5)]  # [R, H] each
        self._scores = np.zeros(rows, np.float32)  # [R]
        self._forward = [np.zeros((0, H), np.float32) for _ in range(2)]  # [N, H] each, for the largest N so far

    def scores(self, features: Floats) -> Floats:
        """Scores [N] of features [N, F], by the averaged weights."""
        n, w = len(features), self.served
        if n > len(self._forward[0]):
            self._forward = [np.zeros((n, H), np.float32) for _ in range(2)]  # [N, H] each
        a, b = (hidden[:n] for hidden in self._forward)  # [N, H] each
        silu(multiply(features, w.w1, a), w.b1)  # [N, F] @ [F, H]
        silu(multiply(a, w.w2, b), w.b2)  # [N, H] @ [H, H]
        result = np.zeros(n, np.float32)  # [N]
        add_product(b, w.w3, result)  # [N, H] @ [H]
        return add_product(features, w.linear, result)  # [N, F] @ [F]

    def keep(self, candidates: Candidates, scores: Floats, weights: Floats, keys: Keys) -> int:
        """Store queries whose answer is among the kept candidates; returns how many.

        A query without a weight is not stored. ``scores`` [N] are those of the candidates,
        ``weights`` [A] those of the transitions, ``keys`` is scratch.
        """
        stored = int(keep(self.ring, self.stored, candidates, scores, weights, self.at_random, self.random, keys))
        self.stored += stored
        return stored

    def flush(self) -> None:
        """Drop the stored queries."""
        self.stored = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, with the stored part of the ring."""
        stored = min(self.stored, len(self.ring.answer))
        ring = {name: array[:stored] for name, array in zip(Ring._fields, self.ring, strict=True)}
        numbers = {
            "random": self.random,
            "stored": scalar(self.stored),
            "skipped": scalar(self.skipped),
            "loss": scalar(float(self.loss)),
            "guard": self.guard.state(),
        }
        return numbers | nested(adam=self.optimiser.state(), ring=ring)

    def restore(self, state: State) -> None:
        """Take the state of another gate.

        If it kept another number of candidates, its stored queries are left out, and the ring fills
        again. Raises ``ValueError`` if a kernel could not read it.
        """
        ring = Ring(**part(state, "ring"))
        if ring.features.shape[1] != self.ring.features.shape[1]:
            ring = new_ring(0, self.ring.features.shape[1])
            state = {**state, "stored": scalar(0)}
        check_lengths(ring._asdict(), Ring._fields, min(int(state["stored"][0]), STORED))
        check_range("ring.candidates", ring.candidates, 1, self.ring.features.shape[1])
        check_range("ring.answer", ring.answer, 0, self.ring.features.shape[1] - 1)
        if not (ring.answer < ring.candidates).all():
            raise ValueError("an answer in the ring is not among its candidates")
        self.stored, self.skipped, self.loss = int(state["stored"][0]), int(state["skipped"][0]), float(state["loss"][0])
        self.random[:] = state["random"]
        self.guard.restore(state.get("guard"))
        self.optimiser.restore(part(state, "adam"))
        copy_rows(self.ring, Ring._fields, ring._asdict())

    def rollback(self, good: State) -> None:
        """Take the weights of an earlier state, and drop the stored queries.

        Their features come from the net that diverged.
        """
        self.optimiser.restore(part(good, "adam"))
        self.guard.reset()
        self.flush()

    def reliance(self) -> list[tuple[str, float]]:
        """How much each feature sways the scores of stored queries, as shares, the largest first.

        The effect of a feature is the mean change of the score when the feature is set to its mean
        over the query's candidates.
        """
        stored = min(self.stored, len(self.ring.answer), RELIANCE_QUERIES)
        total = np.zeros(F)  # [F]
        for slot in range(stored):
            x = self.ring.features[slot, : self.ring.candidates[slot]]  # [n, F]
            score, mean = self.scores(x), x.mean(0)  # [n], [F]
            for column in range(F):
                without = x.copy()  # [n, F]
                without[:, column] = mean[column]
                total[column] += float(np.abs(score - self.scores(without)).mean())
        shares = total / max(float(total.sum()), 1e-12)  # [F]
        return sorted(((FEATURES[column], float(shares[column])) for column in range(F)), key=lambda pair: -pair[1])

    def learn(self, fresh: int) -> None:
        """Take the optimiser steps of a learning step that stored ``fresh`` queries.

        The first step is on these and on old queries, the others on old ones alone.
        """
        if not fresh:
            return
        for step in range(self.steps):
            new, old = fresh if step == 0 else 0, fresh * self.replayed
            queries, rows = gather(self.ring, self.stored, new, old, self.random, self._replayed)
            if queries:
                self._step(queries, rows)

    def _step(self, queries: int, rows: int) -> None:
        """Take one optimiser step on Q gathered queries with R candidates in all."""
        w, g, batch = self.weights, self._parts, self._replayed
        x, scores, weights = batch.features[:rows], self._scores[:rows], batch.weights[:queries]  # [R, F], [R], [Q]
        a1, a2, d1, d2, back = (hidden[:rows] for hidden in self._hidden)  # [R, H] each
        silu_with_slope(multiply(x, w.w1, a1), w.b1, d1)  # [R, F] @ [F, H]
        silu_with_slope(multiply(a1, w.w2, a2), w.b2, d2)  # [R, H] @ [H, H]
        scores[:] = 0
        add_product(x, w.linear, add_product(a2, w.w3, scores))  # [R, F] @ [F] + [R, H] @ [H]
        loss = listwise(scores, batch.candidates[:queries], batch.answers[:queries], weights)  # scores become their gradient
        if not math.isfinite(loss):
            self._skip()
            return
        g.w3[:], g.linear[:] = 0, 0
        add_product(a2.T, scores, g.w3)  # [H, R] @ [R]
        add_product(x.T, scores, g.linear)  # [F, R] @ [R]
        spread(scores, w.w3, d2, g.b2)  # d2 becomes the gradient by the second layer's input
        multiply(a1.T, d2, g.w2)  # [H, R] @ [R, H]
        through(multiply(d2, w.w2.T, back), d1, g.b1)  # back becomes the gradient by the first layer's input
        multiply(x.T, back, g.w1)  # [F, R] @ [R, H]
        if not math.isfinite(norm(self._gradient)):
            self._skip()
            return
        self.loss = loss
        self.guard.step(loss, float(weights.mean()), rows / queries)
        self.optimiser.step(self._gradient)

    def _skip(self) -> None:
        self.skipped += 1
        self.guard.skip(self.optimiser.weights)


def _initial(seed: int) -> Floats:
    """Initial weights [P]: the score is the fixed sum plus the net's log-probability.

    The MLP contributes little at first.
    """
    rng, flat = np.random.default_rng(seed + 7), np.zeros(sum(SIZES), np.float32)
    w, narrow = views(flat), 1 / math.sqrt(H)
    w.w1[:], w.b1[:] = rng.uniform(-0.125, 0.125, w.w1.shape), rng.uniform(-0.125, 0.125, H)
    w.w2[:], w.b2[:] = rng.uniform(-narrow, narrow, w.w2.shape), rng.uniform(-narrow, narrow, H)
    w.w3[:] = 0.1 * rng.uniform(-narrow, narrow, H)
    w.linear[NET_LOG_PROBABILITY], w.linear[FIXED_SUM] = 0.5 / 0.3, 0.7
    return flat


@njit(**KERNEL)
def silu(a, bias):  # type: ignore[no-untyped-def]
    """SiLU in place (Elfwing et al., 2018): a = y sigmoid(y), y = a + bias, for ``a`` [N, H]."""
    for q in range(a.shape[0]):
        for h in range(a.shape[1]):
            y = a[q, h] + bias[h]
            a[q, h] = y * sigmoid(y)


@njit(**KERNEL)
def silu_with_slope(a, bias, slope):  # type: ignore[no-untyped-def]
    """SiLU in place, as `silu`; its derivative goes to ``slope`` [R, H]."""
    for q in range(a.shape[0]):
        for h in range(a.shape[1]):
            y = a[q, h] + bias[h]
            s = sigmoid(y)
            slope[q, h] = s * (ONE + y * (ONE - s))
            a[q, h] = y * s


@njit(**KERNEL)
def listwise(scores, counts, answers, weights):  # type: ignore[no-untyped-def]
    """Mean weighted cross-entropy of the answers; the scores [R] become its gradient.

    ``counts`` [Q] is how many candidates each query has, ``answers`` [Q] the index of its answer,
    ``weights`` [Q] its weight.
    """
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
    """slope *= gradient[:, None] * w3, for ``slope`` [R, H]; the sum is ``bias_gradient`` [H]."""
    bias_gradient[:] = ZERO
    for q in range(slope.shape[0]):
        for h in range(slope.shape[1]):
            value = gradient[q] * w3[h] * slope[q, h]
            slope[q, h] = value
            bias_gradient[h] += value


@njit(**KERNEL)
def through(gradient, slope, bias_gradient):  # type: ignore[no-untyped-def]
    """gradient *= slope, for both [R, H]; the sum over rows goes to ``bias_gradient`` [H]."""
    bias_gradient[:] = ZERO
    for q in range(slope.shape[0]):
        for h in range(slope.shape[1]):
            gradient[q, h] *= slope[q, h]
            bias_gradient[h] += gradient[q, h]
