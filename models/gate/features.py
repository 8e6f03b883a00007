"""The candidates of one query, and the 36 features by which the gate scores each.

Candidates are the best items by the fixed sum of the sparse experts, markov + rules + cooccurrence
+ 0.2 repeat, and the best items of the net. The experts use the last ten items of the prefix; the
r-th last has the weight 1 / (1 + r), divided by the sum of these weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.experts.rows import BACKWARD, COOCCURRENCE, FAST_MARKOV, FAST_RULES, MARKOV, RULES
from models.index.search import exact
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, Keys, descending, f4, i4, index_of, log, select, sort

FEATURES = (
    "markov", "rules", "cooccurrence", "fast_rules", "fast_markov", "cosine", "backward", "repeat", "fixed_sum",
    "popularity_500", "popularity_2000", "popularity_20000", "popularity", "since_seen", "age", "session_length",
    "last_markov_total", "last_popularity", "dwell", "net_rank", "sparse_rank", "times_in_prefix", "position_from_end",
    "support", "unique_items", "net_log_probability", "in_session", "is_last", "net_x_length", "rules_x_length",
    "in_session_x_length", "in_net_top", "trend", "fast_minus_rules", "markov_x_total", "bias",
)  # fmt: skip
"""Columns of the feature matrix; the first 25 are log(scale * x + shift) * factor."""
MOVING = ("fast_rules", "fast_markov", "popularity_500", "popularity_2000", "since_seen", "trend", "fast_minus_rules")
"""Features whose meaning changes once learning has stopped: a frozen model leaves them out."""
LOGGED = 25
(
    _MARKOV, _RULES, _COOCCURRENCE, _FAST_RULES, _FAST_MARKOV, _COSINE, _BACKWARD, _REPEAT, FIXED_SUM,
    _POPULARITY_500, _POPULARITY_2000, _POPULARITY_20000, _POPULARITY, _SINCE_SEEN, _AGE, _SESSION_LENGTH,
    _LAST_MARKOV_TOTAL, _LAST_POPULARITY, _DWELL, _NET_RANK, _SPARSE_RANK, _TIMES_IN_PREFIX, _POSITION_FROM_END,
    _SUPPORT, _UNIQUE_ITEMS, NET_LOG_PROBABILITY, _IN_SESSION, _IS_LAST, _NET_X_LENGTH, _RULES_X_LENGTH,
    _IN_SESSION_X_LENGTH, _IN_NET_TOP, _TREND, _FAST_MINUS_RULES, _MARKOV_X_TOTAL, _BIAS,
) = range(len(FEATURES))  # fmt: skip


def _transform() -> tuple[Floats, Floats, Floats]:
    """Scale, shift and factor [25 each] of the logarithmic features."""
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


class Session(NamedTuple):
    """The session of one query."""

    window: Ints  # [10] rows of the last items, most recent first, -1 padded; at least one
    length: int  # interactions
    dwell: float  # seconds between the last two interactions, -1 if there are fewer
    now: int  # number of the next event


class QueryScores(NamedTuple):
    """The net's vector and scores for one query."""

    vector: Floats  # [>= 1, d] the query vector first; [0, d] if `logits` already has the score of every item
    embedding: Floats  # [capacity, d]
    bias: Floats  # [capacity]
    logits: Floats  # [capacity], if every item has its score
    log_norm: float  # log of the sum over all items of e ** logit
    top: Ints  # [g] rows of the best items, best first


class Scratch(NamedTuple):
    """Working memory per item, while one query is described.

    ``tag`` says which query an item's entries belong to.
    """

    tag: Keys  # [capacity]
    score: Floats  # [capacity, 8] markov, rules, cooccurrence, fast rules, fast markov, cosine, backward, support
    repeat: Floats  # [capacity]
    times: Ints  # [capacity] how often the item is in the prefix
    position: Ints  # [capacity] position of its last occurrence in the prefix, counted from the end; 0 for none
    row: Ints  # [capacity] the item's row in the feature matrix, or index in a ranking; -1 for none
    named: Ints  # [capacity] the items that the experts name
    keys: Keys  # [capacity + 16]
    query: Keys  # [1] queries described so far


def new_scratch(capacity: int) -> Scratch:
    """Scratch for so many items."""
    return Scratch(
        np.full(capacity, -1, np.int64),  # [capacity]
        np.zeros((capacity, 8), np.float32),  # [capacity, 8]
        np.zeros(capacity, np.float32),  # [capacity]
        np.zeros(capacity, np.int32),  # [capacity]
        np.zeros(capacity, np.int32),  # [capacity]
        np.full(capacity, -1, np.int32),  # [capacity]
        np.zeros(capacity, np.int32),  # [capacity]
        np.zeros(capacity + 16, np.int64),  # [capacity + 16]
        np.zeros(1, np.int64),  # [1]
    )


@njit(**KERNEL)
def describe(session, counts, net, blocked, sparse_limit, scratch, ids, features):  # type: ignore[no-untyped-def]
    """Write one query's candidates into ``ids`` [n] and ``features`` [n, 36]; returns n.

    ``net`` is a `QueryScores`. ``blocked`` uint8[capacity] marks items that must not be candidates.
    At most ``sparse_limit`` candidates are the experts', the others are the net's best. If the net
    has not scored every item, the candidates are scored here.
    """
    statistics = counts.statistics
    scratch.query[0] += 1
    tag = scratch.query[0]
    named, unique = expert_scores(session.window, counts, scratch, tag)
    count = _best_by_experts(named, blocked, sparse_limit, scratch, ids)
    sparse = count
    for place in range(net.top.shape[0]):
        x = net.top[place]
        if scratch.tag[x] != tag or scratch.row[x] < 0:
            if scratch.tag[x] != tag:
                _clear(scratch, x, tag)
            scratch.row[x] = count
            ids[count] = x
            count += 1
    if net.vector.shape[0] == 0:
        for q in range(count):
            features[q, NET_LOG_PROBABILITY] = net.logits[ids[q]]
    else:
        for q in range(count):
            features[q, NET_LOG_PROBABILITY] = exact(net.vector[0], net.embedding, net.bias, ids[q])
    net_absent = f4(net.top.shape[0] + 50)
    for q in range(count):
        features[q, _NET_RANK] = net_absent
    for place in range(net.top.shape[0]):
        features[scratch.row[net.top[place]], _NET_RANK] = f4(1 + place)
    last = session.window[0]
    scale_500, scale_2000 = f4(2 / statistics.increment[0]), f4(1 / statistics.increment[1])
    scale_20000 = f4(1 / statistics.increment[2])
    for q in range(count):
        x, f = ids[q], features[q]  # [36]
        a = scratch.score[x]  # [8]
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
            f[_SINCE_SEEN], f[_AGE] = f4(session.now - statistics.last[x]), f4(session.now - statistics.first[x])
        f[_SESSION_LENGTH] = f4(session.length)
        f[_LAST_MARKOV_TOTAL] = counts.rows.total[last, MARKOV]
        f[_LAST_POPULARITY] = statistics.popularity[last]
        f[_DWELL] = session.dwell + ONE if session.dwell >= 0 else ZERO
        f[_SPARSE_RANK] = f4(q + 1) if q < sparse else f4(sparse_limit + 50)
        f[_TIMES_IN_PREFIX], f[_POSITION_FROM_END] = f4(times), f4(scratch.position[x])
        f[_UNIQUE_ITEMS] = f4(unique)
        f[NET_LOG_PROBABILITY] = max(f[NET_LOG_PROBABILITY] - net.log_norm, _LEAST_LOG_PROBABILITY) * f4(0.3)
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
    """Clear the entries of an item, and mark them as those of the query ``tag``."""
    scratch.tag[x] = tag
    for n in range(8):
        scratch.score[x, n] = ZERO
    scratch.repeat[x] = ZERO
    scratch.times[x] = 0
    scratch.position[x] = 0
    scratch.row[x] = -1


@njit(inline="always", **KERNEL)
def expert_scores(window, counts, scratch, tag):  # type: ignore[no-untyped-def]
    """Write all experts' scores of each item that any expert names into ``scratch``.

    ``tag`` is the number of the query, ``window`` int32[10] its last items. Returns how many items
    are named, and how many different items are in the window.
    """
    rows, statistics = counts.rows, counts.statistics
    size, norm = 0, ZERO
    while size < window.shape[0] and window[size] >= 0:
        norm += ONE / f4(1 + size)
        size += 1
    named = 0
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
        items, weights = rows.item[source], rows.weight[source]  # [M], [M, 6]
        for slot in range(rows.used[source]):
            x, w = items[slot], weights[slot]
            if scratch.tag[x] != tag:
                _clear(scratch, x, tag)
                scratch.named[named] = x
                named += 1
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
            scratch.named[named] = source
            named += 1
    unique = 0
    for recency in range(size - 1, -1, -1):
        x = window[recency]
        if scratch.times[x] == 0:
            unique += 1
        scratch.repeat[x] += ONE / f4(1 + recency) / norm
        scratch.times[x] += 1
        scratch.position[x] = i4(recency + 1)
    return named, unique


@njit(inline="always", **KERNEL)
def _best_by_experts(named, blocked, limit, scratch, ids):  # type: ignore[no-untyped-def]
    """Write the named items with the best fixed sums into ``ids``, best first; returns how many."""
    keys, n = scratch.keys, 0
    for m in range(named):
        x = scratch.named[m]
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
