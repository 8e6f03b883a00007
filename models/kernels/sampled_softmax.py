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


class Rings(NamedTuple):
    """Rings of old examples and of the items of the last events."""

    examples: Ints  # [size, 6] as in `TrainingBatch`; a target of -1 marks a dropped example
    weights: Floats  # [size]
    stored: int  # examples stored so far; the ring keeps the last `size` of them
    recent: Ints  # [recent] rows, -1 for an evicted item
    events: int  # events so far


@njit(**KERNEL)
def assemble(batch, fresh, rings, replayed, negatives, height, items, random):  # type: ignore[no-untyped-def]
    """Draw old examples and negatives into ``batch``; returns the sizes R, C and U.

    The batch already has ``fresh`` new examples; ``replayed`` old ones are drawn. Of the negatives,
    half are drawn from recent events and half from all rows below ``height``.
    ``items`` is the net's item table; its ``mark`` is -1 everywhere before and after.
    """
    examples, weights, used = batch.examples, batch.weights, batch.used  # [R, 6], [R], [U]
    targets, places, shift = batch.targets, batch.places, batch.shift  # [R], [R, 5], [C]
    old_examples, old_weights, recent = rings.examples, rings.weights, rings.recent  # [size, 6], [size], [recent]
    mark, bias, frequency = items.mark, items.bias, items.recent  # [capacity] each
    rows, size = fresh, old_weights.shape[0]
    for _ in range(replayed):
        slot = below(random, min(rings.stored, size))
        if old_examples[slot, old_examples.shape[1] - 1] >= 0:
            for column in range(examples.shape[1]):
                examples[rows, column] = old_examples[slot, column]
            weights[rows] = old_weights[slot]
            rows += 1
    count = 0
    last = examples.shape[1] - 1
    for i in range(rows):
        x = examples[i, last]
        if mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
        targets[i] = mark[x]
    from_recent = negatives // 2
    events = min(rings.events, recent.shape[0])
    for n in range(negatives):
        x = recent[below(random, events)] if n < from_recent and events > 0 else below(random, height)
        if x >= 0 and mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
    candidates = count
    for c in range(candidates):
        share = frequency[used[c]] / f4(max(events, 1))
        expected = f4(from_recent + rows) * share + f4(negatives - from_recent) / f4(max(height, 1))
        shift[c] = bias[used[c]] - log(max(ONE - exp(-expected), f4(1e-6)))
    for i in range(rows):
        for r in range(last):
            x = examples[i, r]
            if x < 0:
                places[i, r] = -1
                continue
            if mark[x] < 0:
                mark[x] = count
                used[count] = x
                count += 1
            places[i, r] = mark[x]
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
