"""The ring of queries that the gate learns from: stored once their answer came, and replayed."""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from models.kernels.numerics import KERNEL, ZERO, Floats, Ints, below, descending, index_of, select


class Ring(NamedTuple):
    """The last queries with an answer: the features of some candidates, the answer among them."""

    features: Floats  # [size, kept, F]
    candidates: Ints  # [size] how many candidates a query has
    answer: Ints  # [size] which of them came
    weight: Floats  # [size] of the transition


@njit(**KERNEL)
def keep(ring, stored, features, scores, answers, starts, weights, at_random, random, keys):  # type: ignore[no-untyped-def]
    """See `Gate.keep`."""
    size, kept = ring.features.shape[0], ring.features.shape[1]
    added = 0
    for b in range(answers.shape[0]):
        start, n = starts[b], starts[b + 1] - starts[b]
        if answers[b] < 0 or weights[b] <= ZERO:
            continue
        for q in range(n):
            keys[q] = descending(scores[start + q], q)
        best, count = min(n, kept - at_random), min(n, kept)
        if best < n:
            select(keys, n, best)
        for m in range(best, count):
            other = m + below(random, n - m)
            keys[m], keys[other] = keys[other], keys[m]
        place = -1
        for m in range(count):
            if index_of(keys[m]) == answers[b]:
                place = m
        if place < 0:
            continue
        slot = (stored + added) % size
        ring.candidates[slot], ring.answer[slot], ring.weight[slot] = count, place, weights[b]
        for m in range(count):
            q = start + index_of(keys[m])
            for column in range(features.shape[1]):
                ring.features[slot, m, column] = features[q, column]
        added += 1
    return added


@njit(**KERNEL)
def gather(ring, stored, fresh, replayed, random, x, counts, answers, weights):  # type: ignore[no-untyped-def]
    """Copy the last ``fresh`` queries and ``replayed`` others, drawn from all in the ring; returns queries and rows."""
    size = ring.answer.shape[0]
    oldest = max(0, stored - size)
    queries, rows = 0, 0
    for j in range(fresh + replayed):
        if queries == counts.shape[0]:
            break
        slot = (stored - 1 - j if j < fresh else oldest + below(random, stored - oldest)) % size
        n = ring.candidates[slot]
        for q in range(n):
            for column in range(x.shape[1]):
                x[rows + q, column] = ring.features[slot, q, column]
        counts[queries], answers[queries], weights[queries] = n, ring.answer[slot], ring.weight[slot]
        queries += 1
        rows += n
    return queries, rows
