"""Kernels over a batch of queries: describe all candidates, find the best, and choose items."""

from __future__ import annotations

import numpy as np
from numba import njit

from models.experts.reasons import explain
from models.experts.rows import learn_item
from models.experts.statistics import count_item
from models.gate.features import QueryScores, Session, describe
from models.kernels.numerics import KERNEL, ZERO, descending, index_of, select, sort


@njit(**KERNEL)
def describe_batch(columns, counts, net, excluded, sparse_limit, net_limit, scratch, candidates):  # type: ignore[no-untyped-def]
    """Describe the candidates of each query with a known item, in order; returns N.

    ``columns`` has B queries, A of them with a known item. A query with a target is a transition:
    it is counted after it is described, so that nothing of an answer is in its features. ``net`` is
    a `NetScores` of the A queries, ``excluded`` an `Excluded` of the B queries. At most
    ``sparse_limit`` candidates of a query are the experts' and ``net_limit`` the net's.
    ``candidates`` is a `Candidates` to fill.
    """
    windows, targets, blocked = columns.window, columns.target, excluded.everywhere  # [B, 10], [B], [capacity]
    top, top_counts, ids = net.top, net.counts, candidates.ids  # [A, depth], [A], [N]
    from_net = np.empty(net_limit, np.int32)  # [g]
    total, q = 0, 0
    for n in range(targets.shape[0]):
        window, target = windows[n], targets[n]  # [10]
        now = counts.events + (n if target >= 0 else 0)
        if window[0] >= 0:
            mark(excluded, n, 1)
            size = 0
            for place in range(top_counts[q]):
                x = top[q, place]
                if size < net_limit and not blocked[x]:
                    from_net[size] = x
                    size += 1
            session = Session(window, columns.length[n], columns.dwell[n], now)
            scores = QueryScores(net.vectors[q:], net.embedding, net.bias, net.logits[q], net.log_norm[q], from_net[:size])
            features = candidates.features[total:]  # [<= N, F]
            count = describe(session, counts, scores, blocked, sparse_limit, scratch, ids[total:], features)
            mark(excluded, n, -1)
            for place in range(count):
                if ids[total + place] == target:
                    candidates.answers[q] = place
            total += count
            q += 1
            candidates.starts[q] = total
        if target >= 0:
            learn_item(counts.rows, window, target, columns.weight[n])
            count_item(counts.statistics, target, now)
    return total


@njit(inline="always", **KERNEL)
def mark(excluded, n, by):  # type: ignore[no-untyped-def]
    """Exclude the items that query n excludes (``by`` = 1), or undo that (-1)."""
    for place in range(excluded.per_query.shape[1]):
        if n < excluded.per_query.shape[0] and excluded.per_query[n, place] >= 0:
            excluded.everywhere[excluded.per_query[n, place]] += by


@njit(**KERNEL)
def best(scores, starts, top, counts, keys):  # type: ignore[no-untyped-def]
    """Write each query's k best candidates, best first, into ``top`` [A, k] as indices below N.

    ``counts`` [A] becomes how many there are. ``scores`` [N] and ``starts`` [A + 1] are those of
    the candidates, ``keys`` is scratch.
    """
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


@njit(**KERNEL)
def choose(windows, candidates, scores, net, excluded, rows, scratch, chosen):  # type: ignore[no-untyped-def]
    """Fill ``chosen``, a `Chosen`, with each query's k items and their reasons.

    ``windows`` [A, 10] has at least one item per query, ``scores`` [N] are the gate's. The best
    candidates come first. If there are fewer than k, the net's next best follow; their scores keep
    the net's distances below the last one.
    """
    row, score = chosen.row, chosen.score
    best(scores, candidates.starts, row, chosen.counts, scratch.keys)
    for q in range(windows.shape[0]):
        k, filled = row.shape[1], chosen.counts[q]
        for place in range(filled):
            at = row[q, place]
            row[q, place], score[q, place] = candidates.ids[at], scores[at]
            scratch.row[candidates.ids[at]] = place
        mark(excluded, q, 1)
        gap, first = ZERO, True
        for place in range(net.counts[q]):
            x = net.top[q, place]
            if filled < k and scratch.row[x] < 0 and not excluded.everywhere[x]:
                logit = net.logits[q, x if net.vectors.shape[0] == 0 else place]
                if first:
                    gap, first = (score[q, filled - 1] if filled else ZERO) - logit, False
                row[q, filled], score[q, filled] = x, logit + gap
                scratch.row[x] = filled
                filled += 1
        mark(excluded, q, -1)
        chosen.counts[q] = filled
        explain(windows[q], rows, scratch.row, row[q, :filled], chosen.reason[q], chosen.because[q])
        for place in range(filled):
            scratch.row[row[q, place]] = -1
