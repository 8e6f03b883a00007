"""The net's loss: a softmax over the step's targets and shared negatives, corrected for how likely each was drawn.

logQ correction: Bengio and Senecal, *Adaptive importance sampling to accelerate training of a neural probabilistic language
model*, 2008, as used by Yi et al., *Sampling-bias-corrected neural modeling for large corpus item recommendations*, RecSys 2019.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.kernels.numerics import KERNEL, ONE, ZERO, below, exp, f4, log


@njit(**KERNEL)
def assemble(  # type: ignore[no-untyped-def]
    examples, weights, fresh, replayed, old_examples, old_weights, trained, recent, events, height, negatives, items, random,
    used, targets, places, shift,
):  # fmt: skip
    """Draw replayed examples and negatives; returns rows, candidates and items used.

    ``used`` lists items, the candidates first; ``targets`` and ``places`` point into it; ``shift`` is each candidate's bias less
    the log of how likely it was to be among the candidates.
    """
    rows, size = fresh, old_weights.shape[0]
    for _ in range(replayed):
        slot = below(random, min(trained, size))
        if old_examples[slot, old_examples.shape[1] - 1] >= 0:
            for column in range(examples.shape[1]):
                examples[rows, column] = old_examples[slot, column]
            weights[rows] = old_weights[slot]
            rows += 1
    mark, count = items.mark, 0
    last = examples.shape[1] - 1
    for i in range(rows):
        x = examples[i, last]
        if mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
        targets[i] = mark[x]
    from_recent = negatives // 2
    held = min(events, recent.shape[0])
    for n in range(negatives):
        x = recent[below(random, held)] if n < from_recent and held > 0 else below(random, height)
        if x >= 0 and mark[x] < 0:
            mark[x] = count
            used[count] = x
            count += 1
    candidates = count
    for c in range(candidates):
        share = items.recent[used[c]] / f4(max(held, 1))
        expected = f4(from_recent + rows) * share + f4(negatives - from_recent) / f4(max(height, 1))
        shift[c] = items.bias[used[c]] - log(max(ONE - exp(-expected), f4(1e-6)))
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
    """out[u] = embedding[used[u]]."""
    for u in range(out.shape[0]):
        for d in range(out.shape[1]):
            out[u, d] = embedding[used[u], d]


@njit(**KERNEL)
def softmax(logits, shift, targets, weights, bias_gradient):  # type: ignore[no-untyped-def]
    """Mean weighted cross-entropy; the logits [R, C], to which ``shift`` is added, become its gradient."""
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
