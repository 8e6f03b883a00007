"""What the model would rank for the same events in one process, without any lag.

As in a worker, an event's ranking is made when the event arrives, before the model has learned the
step that contains it, and it is tested at the session's next event. Only the lag of a live system
is missing: the model has learned every earlier step. `ouzel evaluate` ranks at the next event
instead, when the model has learned what lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from bench.end_to_end.stream import NONE, Offered
from bench.end_to_end.windows import CUT, MISSED, UNTESTED, Places

from models.recommender import Query, Recommender
from models.snapshot import take
from models.transition import Transitions
from serving.model_file import write_whole
from streams.learning.model import new_model
from streams.rules import limits_of
from streams.settings import Settings
from streams.tools.history import stream_of
from streams.tools.recorded import Line


def prepared_model(settings: Settings, before: Sequence[Line]) -> Recommender:
    """A model that has learned these events, and that starts with a new log."""
    model = new_model(settings)
    model.warmup()
    stream = stream_of(before, (), limits_of(settings))
    for begin in range(0, len(stream), model.step_size):
        model.learn(stream.transitions.take(range(begin, min(begin + model.step_size, len(stream)))))
    model.reposition({})
    return model


def save_model(settings: Settings, model: Recommender, path: Path) -> None:
    """Write the model to a file that `ouzel model import` reads."""
    write_whole(path, take(settings.model, model))


class Reference:
    """Ranks and learns the events of one stream in order, as far as somebody needs them.

    ``model`` learns them.
    """

    def __init__(self, settings: Settings, model: Recommender, lines: Sequence[Line], offered: Offered) -> None:
        self._model, self._lines, self._offered = model, lines, offered
        self._limits = limits_of(settings)
        self._place = np.full(len(lines), UNTESTED, np.int16)
        self._done = 0

    @cached_property
    def _batch(self) -> Transitions:
        batch = stream_of(self._lines, (), self._limits).transitions
        assert len(batch) == len(self._lines), "each of the events should make a transition"
        return batch

    def places(self, events: int) -> Places:
        """For each of the first events, the place of the session's next item in its ranking.

        These are the places that the consumer would note.
        """
        while self._done < min(events, len(self._lines)):
            rows = range(self._done, min(self._done + self._model.step_size, len(self._lines)))
            self._rank(rows)
            self._model.learn(self._batch.take(rows))
            self._done = rows.stop
        return self._place[:events]

    def _rank(self, rows: range) -> None:
        batch, following = self._batch, self._offered.following
        tested = [(row, following[row]) for row in rows if following[row] != NONE]
        queries = [Query(batch.prefix[n], length=batch.length[n], dwell=batch.dwell[n]) for _, n in tested]
        for (row, n), ranking in zip(tested, self._model.rank(queries, CUT), strict=True):
            self._place[row] = ranking.items.index(batch.item[n]) if batch.item[n] in ranking.items else MISSED
