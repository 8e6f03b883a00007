"""The net's loss: a sampled softmax over a step's targets and shared negatives, corrected by logQ.

The correction (logQ) is that of Bengio and Senecal, *Adaptive importance sampling to accelerate
training of a neural probabilistic language model*, 2008, as used by Yi et al., *Sampling-bias-
corrected neural modeling for large corpus item recommendations*, RecSys 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, below, exp, f4, log


class TrainingBatch(NamedTuple):
    """R examples over U distinct items. The first C of these are the candidates of the softmax.

    The arrays are buffers for the largest step, so a step uses the first R, U and C entries of
    them.
    """

    examples: Ints  # [R, 6] rows of the last five items, most recent first, -1 padded; then the target
    weights: Floats  # [R]
    used: Ints  # [U] rows of the distinct items, the candidates first
    targets: Ints  # [R] index of the target in `used`
    places: Ints  # [R, 5] indices of the last five items in `used`, -1 padded
    shift: Floats  # [C] the bias less the log of the probability of being a candidate


class Replay(NamedTuple):
    """A ring of old examples."""

    examples: Ints  # [size, 6] as in `TrainingBatch`; a target of -1 marks a forgotten example
    weights: Floats  # [size]
    stored: int  # examples stored so far; the ring keeps the last `size` of them


class Recent(NamedTuple):
    """A ring of the items of the last events."""

    items: Ints  # [size] rows, -1 for a forgotten item
    events: int  # events so far


class Draws(NamedTuple):
    """What a step consists of."""

    fresh: int  # new examples, already at the front of the batch
    replayed: int  # old examples to draw
    negatives: int  # negative items to draw: half from recent events, half from all items
    height: int  # rows in use: negatives are drawn from below it


@njit(**KERNEL)
def assemble(batch, draws, replay, recent, items, random):  # type: ignore[no-untyped-def]
    """Draw old examples and negatives into ``batch``; returns the sizes R, C and U.

    ``items`` is the net's item table; its ``mark`` is -1 everywhere before and after.
    """
    examples, used, fresh, negatives, height = batch.examples, batch.used, draws.fresh, draws.negatives, draws.height
    rows, size = fresh, replay.weights.shape[0]
    for _ in range(draws.replayed):
        slot = below(random, min(replay.stored, size))
        if replay.examples[slot, replay.examples.shape[1] - 1] >= 0:
            for column in range(examples.shape[1]):
                examples[rows, column] = replay.examples[slot, column]
            batch.weights[rows] = replay.weights[slot]
            rows += 1
    mark, count = items.mark, 0
    last = examples.shape[1] - 1
    for i in range(rows):
        x = examples[i, last]
        if mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
        batch.targets[i] = mark[x]
    from_recent = negatives // 2
    events = min(recent.events, recent.items.shape[0])
    for n in range(negatives):
        x = recent.items[below(random, events)] if n < from_recent and events > 0 else below(random, height)
        if x >= 0 and mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
    candidates = count
    for c in range(candidates):
        share = items.recent[used[c]] / f4(max(events, 1))
        expected = f4(from_recent + rows) * share + f4(negatives - from_recent) / f4(max(height, 1))
        batch.shift[c] = items.bias[used[c]] - log(max(ONE - exp(-expected), f4(1e-6)))
    for i in range(rows):
        for r in range(last):
            x = examples[i, r]
            if x < 0:
                batch.places[i, r] = -1
                continue
            if mark[x] < 0:
                mark[x] = count
                used[count] = x
                count += 1
            batch.places[i, r] = mark[x]
    for n in range(count):
        mark[used[n]] = -1
    return rows, candidates, count


@njit(**KERNEL)
def take(embedding, used, out):  # type: ignore[no-untyped-def]
    """out[u] = embedding[used[u]], for ``out`` [U, d]."""
    for u in range(out.shape[0]):
        for d in range(out.shape[1]):
            out[u, d] = embedding[used[u], d]


@njit(**KERNEL)
def softmax(logits, shift, targets, weights, bias_gradient):  # type: ignore[no-untyped-def]
    """Mean weighted cross-entropy of R targets; the logits [R, C] become its gradient.

    ``shift`` [C] is added to the logits first. The gradient of the bias goes to ``bias_gradient``
    [C].
    """
    bias_gradient[:] = ZERO
    loss, share = ZERO, ONE / f4(logits.shape[0])
    for i in range(logits.shape[0]):
        row, largest = logits[i], f4(-1e30)
        for c in range(row.shape[0]):
            row[c] = row[c] + shift[c]
        for c in range(row.shape[0]):
            largest = max(largest, row[c])
        right, total = row[targets[i]], ZERO
        for c in range(row.shape[0]):
            row[c] = exp(row[c] - largest)
            total += row[c]
        loss += weights[i] * (f4(np.log(total)) + largest - right)
        scale = weights[i] * share / total
        for c in range(row.shape[0]):
            row[c] *= scale
        row[targets[i]] -= weights[i] * share
        for c in range(row.shape[0]):
            bias_gradient[c] += row[c]
    return loss * share
