"""Test, then train: every transition is predicted from the state before it, and then learned (Gama et al., 2013).

Frozen, the model learns all that is not of the test file first, and then predicts that file without learning.
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
from models.transition import Transitions

MISS = -1
RANKED_AT_ONCE = 64


@dataclass
class Predictions:
    """What a method predicted. ``rank`` is the target's place in each ranking, from 0, or `MISS`; ``row`` the transition's."""

    row: NDArray[np.int64]
    rank: NDArray[np.int16]
    recommended: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    shown: int = 0
    cpu_seconds: float = 0.0
    learned: int = 0
    known_items: int = 0


def run(
    model: Recommender, stream: Stream, k: int, *, only_test_file: bool, frozen: bool, progress: Callable[[int], None]
) -> Predictions:
    """Evaluate a new model. ``progress`` is told how many transitions are done."""
    predicted = stream.predicted(only_test_file)
    found = Predictions(np.flatnonzero(predicted), np.full(int(predicted.sum()), MISS, np.int16))
    place_of = np.cumsum(predicted) - 1
    everything = np.arange(len(stream))
    test = np.array(stream.of_test_file, np.bool_)
    learned = everything[~test] if frozen else everything
    size, done = max(model.step_size, 1), 0
    for begin in range(0, len(learned), size):
        rows = learned[begin : begin + size].tolist()
        step = stream.transitions.take(rows)
        wanted = not frozen and predicted[rows].any()
        began = time.process_time()
        rankings = model.test_then_learn(step, k) if wanted else _learn(model, step)
        found.cpu_seconds += time.process_time() - began
        if wanted:
            _note(found, stream, rows, rankings, predicted, place_of)
        done += len(rows)
        progress(done)
    found.learned = len(learned)
    held = everything[predicted] if frozen else everything[:0]
    for begin in range(0, len(held), RANKED_AT_ONCE):
        rows = held[begin : begin + RANKED_AT_ONCE].tolist()
        step = stream.transitions.take(rows)
        queries = [Query(step.prefix[n], length=step.length[n], dwell=step.dwell[n]) for n in range(len(rows))]
        began = time.process_time()
        rankings = model.rank(queries, k)
        found.cpu_seconds += time.process_time() - began
        _note(found, stream, rows, rankings, predicted, place_of)
        done += len(rows)
        progress(done)
    found.known_items = model.vocabulary_size
    return found


def _learn(model: Recommender, step: Transitions) -> list[Ranking]:
    model.learn(step)
    return []


def _note(
    found: Predictions, stream: Stream, rows: Sequence[int], rankings: Sequence[Ranking], predicted: NDArray[np.bool_],
    place_of: NDArray[np.int64],
) -> None:  # fmt: skip
    batch = stream.transitions
    for row, ranking in zip(rows, rankings, strict=True):
        if not predicted[row]:
            continue
        items = ranking.items
        if batch.item[row] in items:
            found.rank[place_of[row]] = items.index(batch.item[row])
        found.recommended.update(items)
        found.shown += len(items)
        found.repeats += len(set(batch.prefix[row]).intersection(items))
