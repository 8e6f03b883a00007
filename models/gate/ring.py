"""The ring of answered queries that the gate learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.gate.batch import F
from models.kernels.numerics import KERNEL, ZERO, Floats, Ints, below, descending, index_of, select


class Ring(NamedTuple):
    """The last queries whose answer was a candidate, with the features of some candidates."""

    features: Floats  # [size, kept, F]
    candidates: Ints  # [size] how many candidates the query has
    answer: Ints  # [size] index of the answer among them
    weight: Floats  # [size] of the transition


class Replayed(NamedTuple):
    """Queries to learn from: Q queries with R candidates in all, one query after the other."""

    features: Floats  # [R, F]
    candidates: Ints  # [Q] how many candidates each query has
    answers: Ints  # [Q] index of the answer among them
    weights: Floats  # [Q]


def new_ring(size: int, kept: int) -> Ring:
    """An empty ring of so many queries with at most ``kept`` candidates each."""
    return Ring(
        np.zeros((size, kept, F), np.float32),  # [size, kept, F]
        np.zeros(size, np.int32),  # [size]
        np.zeros(size, np.int32),  # [size]
        np.zeros(size, np.float32),  # [size]
    )


def new_replayed(queries: int, kept: int) -> Replayed:
    """Room for so many queries with at most ``kept`` candidates each."""
    return Replayed(
        np.zeros((queries * kept, F), np.float32),  # [R, F]
        np.zeros(queries, np.int32),  # [Q]
        np.zeros(queries, np.int32),  # [Q]
        np.zeros(queries, np.float32),  # [Q]
    )


@njit(**KERNEL)
def keep(ring, stored, candidates, scores, weights, at_random, random, keys):  # type: ignore[no-untyped-def]
    """Store queries with a weight whose answer is among their kept candidates; returns how many.

    ``candidates`` is a `Candidates` of A queries, ``scores`` [N] are theirs, ``weights`` [A] those
    of the transitions. The kept candidates are the best by score, and ``at_random`` others.
    ``stored`` is the number of queries stored before, ``keys`` is scratch.
    """
    size, kept = ring.features.shape[0], ring.features.shape[1]
    added = 0
    for b in range(candidates.answers.shape[0]):
        start, n = candidates.starts[b], candidates.starts[b + 1] - candidates.starts[b]
        answer = candidates.answers[b]
        if answer < 0 or weights[b] <= ZERO:
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
            if index_of(keys[m]) == answer:
                place = m
        if place < 0:
            continue
        slot = (stored + added) % size
        ring.candidates[slot], ring.answer[slot], ring.weight[slot] = count, place, weights[b]
        for m in range(count):
            q = start + index_of(keys[m])
            for column in range(candidates.features.shape[1]):
                ring.features[slot, m, column] = candidates.features[q, column]
        added += 1
    return added


@njit(**KERNEL)
def gather(ring, stored, fresh, replayed, random, batch):  # type: ignore[no-untyped-def]
    """Copy the last ``fresh`` queries and ``replayed`` random ones into ``batch``; returns Q and R.

    ``batch`` is a `Replayed`; copying stops when it is full.
    """
    size = ring.answer.shape[0]
    oldest = max(0, stored - size)
    queries, rows = 0, 0
    for j in range(fresh + replayed):
        if queries == batch.candidates.shape[0]:
            break
        slot = (stored - 1 - j if j < fresh else oldest + below(random, stored - oldest)) % size
        n = ring.candidates[slot]
        for q in range(n):
            for column in range(batch.features.shape[1]):
                batch.features[rows + q, column] = ring.features[slot, q, column]
        batch.candidates[queries], batch.answers[queries], batch.weights[queries] = n, ring.answer[slot], ring.weight[slot]
        queries += 1
        rows += n
    return queries, rows
