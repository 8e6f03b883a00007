"""Going through a batch of queries: each is described by what is known before it, and only then is its transition counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.experts.reasons import explain
from models.experts.rows import learn_item
from models.experts.statistics import count_item
from models.gate.features import FEATURES, describe
from models.kernels.numerics import KERNEL, ZERO, Floats, Ints, descending, index_of, select, sort

NOTHING_OUT: Ints = np.zeros((0, 0), np.int32)


class Found(NamedTuple):
    """Candidates of a batch, one query after the other, N in all."""

    ids: Ints  # [N] rows of the items
    features: Floats  # [N, F]
    starts: Ints  # [B + 1]
    answers: Ints  # [B] the target's place among its query's candidates, -1 for none


class Buffers(NamedTuple):
    """Buffers for the net's scores of a batch of B, and the candidates that come of them."""

    logits: Floats  # [B, capacity]
    net_top: Ints  # [B, depth] the net's best, best first
    net_count: Ints  # [B]
    log_norm: Floats  # [B]
    block_max: Floats  # [capacity / 16]
    ids: Ints  # [B * most]
    features: Floats  # [B * most, F]

    def fits(self, queries: int, capacity: int, depth: int) -> bool:
        """Whether there is room for as much."""
        held, held_depth = self.net_top.shape
        return bool(held >= queries and self.logits.shape[1] >= capacity and held_depth >= depth)


def new_buffers(queries: int, capacity: int, depth: int, most: int) -> Buffers:
    """Room for so many queries with at most ``most`` candidates, and the net's best ``depth``."""
    return Buffers(
        np.zeros((queries, capacity), np.float32),
        np.zeros((queries, depth), np.int32),
        np.zeros(queries, np.int32),
        np.zeros(queries, np.float32),
        np.zeros(capacity // 16 + 1, np.float32),
        np.zeros(queries * most, np.int32),
        np.zeros((queries * most, len(FEATURES)), np.float32),
    )


@njit(**KERNEL)
def describe_batch(  # type: ignore[no-untyped-def]
    columns, asked, learn, event, rows, statistics, buffers, vectors, embedding, bias, blocked, out, sparse_limit, net_limit,
    scratch, starts, answers,
):  # fmt: skip
    """Describe the queries ``asked`` (places in the columns) in order; returns how many candidates there are.

    With ``learn``, each transition is counted after its query. ``out`` int32[B, X]: rows that a query must not get, -1
    padded. ``vectors`` [A, d]: the query vectors where ``buffers.logits`` do not hold every item's score, else empty.
    """
    total, q = 0, 0
    from_net = np.empty(net_limit, np.int32)
    for n in range(columns.target.shape[0]):
        target = columns.target[n]
        if q < asked.shape[0] and asked[q] == n:
            mark(blocked, out, n, 1)
            size = 0
            for place in range(buffers.net_count[q]):
                if size < net_limit and not blocked[buffers.net_top[q, place]]:
                    from_net[size] = buffers.net_top[q, place]
                    size += 1
            count = describe(
                columns.window[n], columns.length[n], columns.dwell[n], event + (n if learn else 0), rows, statistics,
                buffers.logits[q], buffers.log_norm[q], vectors[q:], embedding, bias, from_net[:size], blocked, sparse_limit,
                scratch, buffers.ids[total:], buffers.features[total:],
            )  # fmt: skip
            mark(blocked, out, n, -1)
            for place in range(count):
                if buffers.ids[total + place] == target:
                    answers[q] = place
            total += count
            q += 1
            starts[q] = total
        if learn:
            learn_item(rows, columns.window[n], target, columns.weight[n])
            count_item(statistics, target, event + n)
    return total


@njit(inline="always", **KERNEL)
def mark(blocked, out, n, by):  # type: ignore[no-untyped-def]
    """Block, or free again, what query n must not get."""
    for place in range(out.shape[1]):
        if n < out.shape[0] and out[n, place] >= 0:
            blocked[out[n, place]] += by


@njit(**KERNEL)
def best(scores, starts, top, counts, keys):  # type: ignore[no-untyped-def]
    """Where each query's best candidates are, best first, as many as ``top`` [B, k] takes."""
    for q in range(counts.shape[0]):
        start, n = starts[q], starts[q + 1] - starts[q]
        for m in range(n):
            keys[m] = descending(scores[start + m], m)
        count = min(top.shape[1], n)
        if count < n:
            select(keys, n, count)
        sort(keys, count)
        for place in range(count):
            top[q, place] = start + index_of(keys[place])
        counts[q] = count


class Chosen(NamedTuple):
    """Each query's k items."""

    row: Ints  # [B, k]
    score: Floats  # [B, k]
    reason: Ints  # [B, k] a place in `REASONS`, or after them
    because: Ints  # [B, k] row of the item that it is because of, -1 for none
    found: Ints  # [B] how many of the k there are


def new_chosen(queries: int, k: int) -> Chosen:
    """Room for k items of each query."""
    rows, reasons = np.zeros((queries, k), np.int32), np.zeros((queries, k), np.int32)
    because = np.full((queries, k), -1, np.int32)
    return Chosen(rows, np.zeros((queries, k), np.float32), reasons, because, np.zeros(queries, np.int32))


@njit(**KERNEL)
def choose(windows, asked, ids, scores, starts, buffers, blocked, out, rows, scratch, chosen):  # type: ignore[no-untyped-def]
    """Choose each query's k items, with reasons.

    The gate's candidates first; where they are too few, the net's next best, with its gaps below the last score.
    """
    row, score = chosen.row, chosen.score
    best(scores, starts, row, chosen.found, scratch.keys)
    for q in range(asked.shape[0]):
        n, k, filled = asked[q], row.shape[1], chosen.found[q]
        for place in range(filled):
            at = row[q, place]
            row[q, place], score[q, place] = ids[at], scores[at]
            scratch.row[ids[at]] = place
        mark(blocked, out, n, 1)
        gap, first = ZERO, True
        for place in range(buffers.net_count[q]):
            x = buffers.net_top[q, place]
            if filled < k and scratch.row[x] < 0 and not blocked[x]:
                if first:
                    gap, first = (score[q, filled - 1] if filled else ZERO) - buffers.logits[q, x], False
                row[q, filled], score[q, filled] = x, buffers.logits[q, x] + gap
                scratch.row[x] = filled
                filled += 1
        mark(blocked, out, n, -1)
        chosen.found[q] = filled
        explain(windows[n], rows, scratch.row, row[q, :filled], chosen.reason[q], chosen.because[q])
        for place in range(filled):
            scratch.row[row[q, place]] = -1
