"""Metrics of predictions that each have one right answer, with confidence intervals and breakdowns.

For a ranking cut at k with the answer at rank r (from 0): recall = [r < k], precision = recall / k,
F1 = 2 recall / (k + 1), MRR = recall / (r + 1), NDCG = recall / log2(r + 2). All are means over
predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.prequential import MISS, Predictions
from models.evaluation.stream import Stream

CUTS = (1, 5, 10, 20)
RESAMPLES = 1000
COLD_ITEM = 10
"""An item is cold until it was seen this often."""
HEAD_SHARE = 0.2
"""The share of all items that is the head, the most popular ones; the others are the long tail."""
WINDOWS = 40
POSITIONS = (("1", 1, 1), ("2", 2, 2), ("3-5", 3, 5), ("6-10", 6, 10), ("11+", 11, 10**9))
POPULARITY = (("new", 0, 0), ("1-9", 1, 9), ("10-99", 10, 99), ("100-999", 100, 999), ("1000+", 1000, 10**9))


def at_cuts(rank: NDArray[np.int16], cuts: Sequence[int]) -> dict[str, float]:
    """recall@k, precision@k, f1@k, mrr@k and ndcg@k of the ranks [P] for every cut k."""
    metrics = {}
    place = rank.astype(np.float64)  # [P]
    for k in cuts:
        hit = (rank != MISS) & (rank < k)  # [P]
        recall = float(hit.mean()) if len(hit) else 0.0
        metrics[f"recall@{k}"] = recall
        metrics[f"precision@{k}"] = recall / k
        metrics[f"f1@{k}"] = 2 * recall / (k + 1)
        metrics[f"mrr@{k}"] = float(np.where(hit, 1 / (np.maximum(place, 0) + 1), 0).mean()) if len(hit) else 0.0
        metrics[f"ndcg@{k}"] = float(np.where(hit, 1 / np.log2(np.maximum(place, 0) + 2), 0).mean()) if len(hit) else 0.0
    return metrics


def intervals(rank: NDArray[np.int16], session: NDArray[np.int64], k: int, seed: int = 0) -> dict[str, float]:
    """95 % intervals of recall@k and mrr@k of the ranks [P], by bootstrap over their sessions [P].

    Whole sessions are drawn, because predictions of one session depend on each other.
    """
    if not len(rank):
        return {}
    hit = (rank != MISS) & (rank < k)  # [P]
    gain = np.where(hit, 1 / (np.maximum(rank, 0) + 1.0), 0.0)  # [P]
    _, group = np.unique(session, return_inverse=True)  # [P]
    size, hits, gains = (np.bincount(group, weights) for weights in (np.ones(len(rank)), hit.astype(float), gain))  # [S] each
    rng, recalls, mrrs = np.random.default_rng(seed), list[float](), list[float]()
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(size), len(size)), minlength=len(size))  # [S]
        total = times @ size
        recalls.append(float(times @ hits / total))
        mrrs.append(float(times @ gains / total))
    low, high = np.percentile(recalls, [2.5, 97.5])
    mrr_low, mrr_high = np.percentile(mrrs, [2.5, 97.5])
    ends = {f"recall@{k}_low": low, f"recall@{k}_high": high, f"mrr@{k}_low": mrr_low, f"mrr@{k}_high": mrr_high}
    return {name: float(value) for name, value in ends.items()}


def summary(predictions: Predictions, stream: Stream, k: int, *, seen_before: NDArray[np.int64]) -> dict[str, Any]:
    """All figures of one method, for tables and charts; a share without predictions is ``None``.

    ``seen_before`` [T] is how often each transition's item occurred before it.
    """
    rows, hit = predictions.row, (predictions.rank != MISS) & (predictions.rank < k)  # [P] each
    length, before = np.array(stream.transitions.length)[rows], seen_before[rows]  # [P] each
    session = np.array(stream.session, np.int64)[rows]  # [P]
    counts = stream.items()
    head = {item for item, _ in counts.most_common(max(1, int(len(counts) * HEAD_SHARE)))}
    tail = sum(times for item, times in predictions.recommended.items() if item not in head)
    cold, first = before < COLD_ITEM, length == 1
    return {
        **at_cuts(predictions.rank, sorted({*CUTS, k})),
        **intervals(predictions.rank, session, k),
        f"coverage@{k}": len(predictions.recommended) / max(predictions.known_items, 1),
        f"long_tail@{k}": tail / max(predictions.shown, 1),
        f"repeat@{k}": predictions.repeats / max(predictions.shown, 1),
        "cold_item_predictions": int(cold.sum()),
        f"cold_item_recall@{k}": _mean(hit[cold]),
        "cold_session_predictions": int(first.sum()),
        f"cold_session_recall@{k}": _mean(hit[first]),
        "cpu_seconds": predictions.cpu_seconds,
        "events_per_second": (predictions.learned or len(rows)) / max(predictions.cpu_seconds, 1e-9),
        "curve": curve(rows, hit, len(stream)),
        "by_position": _groups(POSITIONS, length, hit),
        "by_popularity": _groups(POPULARITY, before, hit),
    }


def curve(rows: NDArray[np.int64], hit: NDArray[np.bool_], events: int) -> list[tuple[int, float]]:
    """The recall of the predictions in each window of events, with the window's end."""
    points = []
    for window in range(WINDOWS):
        begin, end = events * window // WINDOWS, events * (window + 1) // WINDOWS
        inside = hit[(rows >= begin) & (rows < end)]
        if len(inside):
            points.append((end, float(inside.mean())))
    return points


def recovery(rows: NDArray[np.int64], hit: NDArray[np.bool_], at: int, window: int = 1000) -> int | None:
    """How many events after ``at`` the recall is back at 90 % of that before; ``None`` for never.

    The recall is that of ``window`` predictions.
    """
    before, after, where = hit[rows < at], hit[rows >= at], rows[rows >= at]  # [before], [after], [after]
    if not len(before) or len(after) < window:
        return None
    floor = 0.9 * before[-5 * window :].mean()
    running = np.convolve(after, np.ones(window) / window, "valid")
    back = np.flatnonzero(running >= floor)
    return int(where[back[0]] - at) if len(back) else None


def _groups(
    bounds: Sequence[tuple[str, int, int]], value: NDArray[np.int64], hit: NDArray[np.bool_]
) -> list[tuple[str, int, float | None]]:
    """For each bound, its name, and how many predictions are within it and their recall."""
    groups = []
    for name, low, high in bounds:
        inside = hit[(value >= low) & (value <= high)]
        groups.append((name, len(inside), _mean(inside)))
    return groups


def _mean(hit: NDArray[np.bool_]) -> float | None:
    return float(hit.mean()) if len(hit) else None
