"""A query's candidates, and what the gate is told of each.

Candidates are the best by the fixed sum of the sparse experts, markov + rules + cooccurrence + 0.2 repeat, and the best of the
net. Of the prefix the last ten items count, the r-th last with weight 1 / (1 + r) over the sum of these weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.experts.rows import BACKWARD, COOCCURRENCE, FAST_MARKOV, FAST_RULES, MARKOV, RULES
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, Keys, descending, f4, i4, index_of, log, select, sort

FEATURES = (
    "markov", "rules", "cooccurrence", "fast_rules", "fast_markov", "cosine", "backward", "repeat", "fixed_sum",
    "popularity_500", "popularity_2000", "popularity_20000", "popularity", "since_seen", "age", "session_length",
    "last_markov_total", "last_popularity", "dwell", "net_rank", "sparse_rank", "times_in_prefix", "position_from_end",
    "support", "unique_items", "net_log_probability", "in_session", "is_last", "net_x_length", "rules_x_length",
    "in_session_x_length", "in_net_top", "trend", "fast_minus_rules", "markov_x_total", "bias",
)  # fmt: skip
"""The columns. The first 25 go through log(scale * x + shift) * factor."""
MOVING = ("fast_rules", "fast_markov", "popularity_500", "popularity_2000", "since_seen", "trend", "fast_minus_rules")
"""Columns that mean something else once learning has stopped: the frozen profile leaves them out."""
LOGGED = 25
(
    _MARKOV, _RULES, _COOCCURRENCE, _FAST_RULES, _FAST_MARKOV, _COSINE, _BACKWARD, _REPEAT, FIXED_SUM,
    _POPULARITY_500, _POPULARITY_2000, _POPULARITY_20000, _POPULARITY, _SINCE_SEEN, _AGE, _SESSION_LENGTH,
    _LAST_MARKOV_TOTAL, _LAST_POPULARITY, _DWELL, _NET_RANK, _SPARSE_RANK, _TIMES_IN_PREFIX, _POSITION_FROM_END,
    _SUPPORT, _UNIQUE_ITEMS, NET_LOG_PROBABILITY, _IN_SESSION, _IS_LAST, _NET_X_LENGTH, _RULES_X_LENGTH,
    _IN_SESSION_X_LENGTH, _IN_NET_TOP, _TREND, _FAST_MINUS_RULES, _MARKOV_X_TOTAL, _BIAS,
) = range(len(FEATURES))  # fmt: skip


def _transform() -> tuple[Floats, Floats, Floats]:
    scale, shift, factor = (np.full(LOGGED, value, np.float32) for value in (1.0, 1.0, 0.5))
    scale[:FIXED_SUM], factor[:FIXED_SUM] = 1e4, 1 / 3
    shift[FIXED_SUM], factor[FIXED_SUM] = 1e-4, 1
    factor[[_SINCE_SEEN, _AGE, _DWELL, _NET_RANK, _SPARSE_RANK]] = 0.25
    factor[[_TIMES_IN_PREFIX, _SUPPORT]] = 1
    return scale, shift, factor


_SCALE, _SHIFT, _FACTOR = _transform()
_REPEAT_SHARE = f4(0.2)
_LEAST_LOG_PROBABILITY = f4(-15)
_NEVER = f4(1e6)


class Scratch(NamedTuple):
    """What kernels note per item while they describe one query; ``tag`` tells which query an entry is of."""

    tag: Keys  # [capacity]
    score: Floats  # [capacity, 8] markov, rules, cooccurrence, fast rules, fast markov, cosine, backward, support
    repeat: Floats  # [capacity]
    times: Ints  # [capacity]
    position: Ints  # [capacity]
    row: Ints  # [capacity] the candidate's place in the feature matrix
    found: Ints  # [capacity]
    keys: Keys  # [capacity + 16]
    query: Keys  # [1] queries described


def new_scratch(capacity: int) -> Scratch:
    """Scratch for so many items."""
    return Scratch(
        np.full(capacity, -1, np.int64),
        np.zeros((capacity, 8), np.float32),
        np.zeros(capacity, np.float32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.full(capacity, -1, np.int32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity + 16, np.int64),
        np.zeros(1, np.int64),
    )


@njit(**KERNEL)
def describe(  # type: ignore[no-untyped-def]
    window, length, dwell, now, rows, statistics, logits, log_norm, vector, embedding, bias, net_top, blocked, sparse_limit,
    scratch, ids, features,
):  # fmt: skip
    """Gather one query's candidates into ``ids`` and describe them in ``features`` [<=, 36]; returns how many.

    ``window`` int32[10]: the last items, most recent first, -1 padded, at least one. ``length``: interactions in the session.
    ``dwell``: seconds between the last two of them, -1 for none. ``now``: number of the event to come. ``logits`` float32
    [capacity], ``log_norm`` and ``net_top`` int32[g] are the net's. ``blocked`` uint8[capacity]: never a candidate. Where the
    logits hold not every item's score, ``vector`` [1, d] is the query's, and candidates are scored here; else it is empty.
    """
    scratch.query[0] += 1
    tag = scratch.query[0]
    found, unique = expert_scores(window, rows, statistics, scratch, tag)
    count = _best_by_experts(found, blocked, sparse_limit, scratch, ids)
    sparse = count
    for place in range(net_top.shape[0]):
        x = net_top[place]
        if scratch.tag[x] != tag or scratch.row[x] < 0:
            if scratch.tag[x] != tag:
                _clear(scratch, x, tag)
            scratch.row[x] = count
            ids[count] = x
            count += 1
    for q in range(count if vector.shape[0] else 0):
        x, logit = ids[q], bias[ids[q]]
        for d in range(embedding.shape[1]):
            logit += vector[0, d] * embedding[x, d]
        logits[x] = logit
    net_absent = f4(net_top.shape[0] + 50)
    for q in range(count):
        features[q, _NET_RANK] = net_absent
    for place in range(net_top.shape[0]):
        features[scratch.row[net_top[place]], _NET_RANK] = f4(1 + place)
    last = window[0]
    scale_500, scale_2000 = f4(2 / statistics.increment[0]), f4(1 / statistics.increment[1])
    scale_20000 = f4(1 / statistics.increment[2])
    for q in range(count):
        x, f = ids[q], features[q]
        a = scratch.score[x]
        times = scratch.times[x]
        f[_MARKOV], f[_RULES], f[_COOCCURRENCE], f[_FAST_RULES], f[_FAST_MARKOV] = a[0], a[1], a[2], a[3], a[4]
        f[_COSINE] = a[5] / np.sqrt(statistics.popularity[x] + f4(3))
        f[_BACKWARD], f[_SUPPORT], f[_REPEAT] = a[6], a[7], scratch.repeat[x]
        f[FIXED_SUM] = a[0] + a[1] + a[2] + _REPEAT_SHARE * scratch.repeat[x]
        f[_POPULARITY_500] = statistics.decayed[x, 0] * scale_500
        f[_POPULARITY_2000] = statistics.decayed[x, 1] * scale_2000
        f[_POPULARITY_20000] = statistics.decayed[x, 2] * scale_20000
        f[_POPULARITY] = statistics.popularity[x]
        if statistics.last[x] < 0:
            f[_SINCE_SEEN], f[_AGE] = _NEVER, ZERO
        else:
            f[_SINCE_SEEN], f[_AGE] = f4(now - statistics.last[x]), f4(now - statistics.first[x])
        f[_SESSION_LENGTH] = f4(length)
        f[_LAST_MARKOV_TOTAL] = rows.total[last, MARKOV]
        f[_LAST_POPULARITY] = statistics.popularity[last]
        f[_DWELL] = dwell + ONE if dwell >= 0 else ZERO
        f[_SPARSE_RANK] = f4(q + 1) if q < sparse else f4(sparse_limit + 50)
        f[_TIMES_IN_PREFIX], f[_POSITION_FROM_END] = f4(times), f4(scratch.position[x])
        f[_UNIQUE_ITEMS] = f4(unique)
        f[NET_LOG_PROBABILITY] = max(logits[x] - log_norm, _LEAST_LOG_PROBABILITY) * f4(0.3)
        f[_IN_SESSION] = ONE if times > 0 else ZERO
        f[_IS_LAST] = ONE if scratch.position[x] == 1 else ZERO
        f[_IN_NET_TOP] = ONE if f[_NET_RANK] < net_absent else ZERO
        f[_BIAS] = ONE
        scratch.row[x] = -1
    for q in range(count):
        f = features[q]
        for column in range(LOGGED):
            f[column] = _FACTOR[column] * log(_SCALE[column] * f[column] + _SHIFT[column])
        long = f[_SESSION_LENGTH] * f4(2)
        f[_NET_X_LENGTH] = f[NET_LOG_PROBABILITY] * long * f4(0.5)
        f[_RULES_X_LENGTH] = f[_RULES] * long * f4(0.3)
        f[_IN_SESSION_X_LENGTH] = f[_IN_SESSION] * long
        f[_TREND] = f[_POPULARITY_500] - f[_POPULARITY_20000]
        f[_FAST_MINUS_RULES] = f[_FAST_RULES] - f[_RULES]
        f[_MARKOV_X_TOTAL] = f[_MARKOV] * f[_LAST_MARKOV_TOTAL] * f4(0.5)
    return count


@njit(inline="always", **KERNEL)
def _clear(scratch, x, tag):  # type: ignore[no-untyped-def]
    scratch.tag[x] = tag
    for n in range(8):
        scratch.score[x, n] = ZERO
    scratch.repeat[x] = ZERO
    scratch.times[x] = 0
    scratch.position[x] = 0
    scratch.row[x] = -1


@njit(inline="always", **KERNEL)
def expert_scores(window, rows, statistics, scratch, tag):  # type: ignore[no-untyped-def]
    """Every expert's score of every item that any of them names; returns how many items, and how many of the prefix differ."""
    size, norm = 0, ZERO
    while size < window.shape[0] and window[size] >= 0:
        norm += ONE / f4(1 + size)
        size += 1
    found = 0
    for recency in range(size):
        source = window[recency]
        share = ONE / f4(1 + recency) / norm
        total, increment = rows.total[source], rows.increment[source]
        adjacent = ONE if recency == 0 else ZERO
        markov = adjacent / (total[MARKOV] + ONE)
        fast_markov = adjacent / (total[FAST_MARKOV] + increment)
        rules = share / (total[RULES] + ONE)
        fast_rules = share / (total[FAST_RULES] + increment)
        together = share / (total[COOCCURRENCE] + ONE)
        cosine = share / np.sqrt(statistics.popularity[source] + f4(3))
        backward = share / (total[BACKWARD] + ONE)
        items, weights = rows.item[source], rows.weight[source]
        for slot in range(rows.used[source]):
            x, w = items[slot], weights[slot]
            if scratch.tag[x] != tag:
                _clear(scratch, x, tag)
                scratch.found[found] = x
                found += 1
            a = scratch.score[x]
            a[0] += markov * w[MARKOV]
            a[1] += rules * w[RULES]
            a[2] += together * w[COOCCURRENCE]
            a[3] += fast_rules * w[FAST_RULES]
            a[4] += fast_markov * w[FAST_MARKOV]
            a[5] += cosine * w[COOCCURRENCE]
            a[6] += backward * w[BACKWARD]
            a[7] += ONE
        if scratch.tag[source] != tag:
            _clear(scratch, source, tag)
            scratch.found[found] = source
            found += 1
    unique = 0
    for recency in range(size - 1, -1, -1):
        x = window[recency]
        if scratch.times[x] == 0:
            unique += 1
        scratch.repeat[x] += ONE / f4(1 + recency) / norm
        scratch.times[x] += 1
        scratch.position[x] = i4(recency + 1)
    return found, unique


@njit(inline="always", **KERNEL)
def _best_by_experts(found, blocked, limit, scratch, ids):  # type: ignore[no-untyped-def]
    """The first candidates: the best by the fixed sum, best first."""
    keys, n = scratch.keys, 0
    for m in range(found):
        x = scratch.found[m]
        if not blocked[x]:
            a = scratch.score[x]
            keys[n] = descending(a[0] + a[1] + a[2] + _REPEAT_SHARE * scratch.repeat[x], x)
            n += 1
    count = min(limit, n)
    if n > limit:
        select(keys, n, limit)
    sort(keys, count)
    for place in range(count):
        x = index_of(keys[place])
        ids[place] = x
        scratch.row[x] = place
    return count
