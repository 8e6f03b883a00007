"""Prequential evaluation: predict every transition, and then learn it (Gama et al., 2013).

A frozen evaluation first learns everything that is not in the test file, and then predicts that
file without learning. Everything runs in the calling thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.evaluation.stream import Stream
from models.recommender import Query, Ranking, Recommender

MISS = -1
RANKED_AT_ONCE = 64


@dataclass
class Predictions:
    """The P predictions of a method, and totals over all its rankings."""

    row: NDArray[np.int64]  # [P] index of the predicted transition in the stream
    rank: NDArray[np.int16]  # [P] position of its item in the ranking, from 0, or `MISS`
    recommended: Counter[str] = field(default_factory=Counter)
    """How often each item was in a ranking."""
    repeats: int = 0
    """Items in rankings that were in the prefix too."""
    shown: int = 0
    """Items in rankings."""
    cpu_seconds: float = 0.0
    learned: int = 0
    """Transitions learned."""
    known_items: int = 0
    """Items that the model knows at the end."""


def run(
    model: Recommender, stream: Stream, k: int, *, only_test_file: bool, frozen: bool, progress: Callable[[int], None]
) -> Predictions:
    """Evaluate a new model with rankings of k items.

    ``progress`` is called with the number of transitions done.
    """
    predicted = stream.predicted(only_test_file)  # [T]
    result = Predictions(np.flatnonzero(predicted), np.full(int(predicted.sum()), MISS, np.int16))  # [P] each
    prediction_of = np.cumsum(predicted) - 1  # [T] index of a predicted transition in the result
    everything = np.arange(len(stream))  # [T]
    test = np.array(stream.of_test_file, np.bool_)  # [T]
    learned = everything[~test] if frozen else everything
    size, done = max(model.step_size, 1), 0
    for begin in range(0, len(learned), size):
        rows = learned[begin : begin + size].tolist()
        step, rankings = stream.transitions.take(rows), list[Ranking]()
        tested = not frozen and predicted[rows].any()
        began = time.process_time()
        if tested:
            rankings = model.test_then_learn(step, k)
        else:
            model.learn(step)
        result.cpu_seconds += time.process_time() - began
        if tested:
            _add(result, stream, rows, rankings, predicted, prediction_of)
        done += len(rows)
        progress(done)
    result.learned = len(learned)
    remaining = everything[predicted] if frozen else everything[:0]
    for begin in range(0, len(remaining), RANKED_AT_ONCE):
        rows = remaining[begin : begin + RANKED_AT_ONCE].tolist()
        step = stream.transitions.take(rows)
        queries = [Query(step.prefix[n], length=step.length[n], dwell=step.dwell[n]) for n in range(len(rows))]
        began = time.process_time()
        rankings = model.rank(queries, k)
        result.cpu_seconds += time.process_time() - began
        _add(result, stream, rows, rankings, predicted, prediction_of)
        done += len(rows)
        progress(done)
    result.known_items = model.vocabulary_size
    return result


def _add(
    result: Predictions, stream: Stream, rows: Sequence[int], rankings: Sequence[Ranking], predicted: NDArray[np.bool_],
    prediction_of: NDArray[np.int64],
) -> None:  # fmt: skip
    """Add the rankings of the predicted ones of these transitions to the result."""
    batch = stream.transitions
    for row, ranking in zip(rows, rankings, strict=True):
        if not predicted[row]:
            continue
        items = ranking.items
        if batch.item[row] in items:
            result.rank[prediction_of[row]] = items.index(batch.item[row])
        result.recommended.update(items)
        result.shown += len(items)
        result.repeats += len(set(batch.prefix[row]).intersection(items))
