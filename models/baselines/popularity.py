"""The same ranking for every session: the most popular items of all time, or of recent events."""

from __future__ import annotations

from models.baselines.counting import Counting
from models.experts.columns import Columns
from models.kernels.numerics import Floats


class Popularity(Counting):
    """Ranks items by their number of interactions."""

    strategy = "popularity"

    def _scores(self, columns: Columns, q: int) -> Floats:
        return self.memory.statistics.popularity[: self.memory.vocabulary.height]


class DecayedPopularity(Counting):
    """Ranks items by their number of interactions, with a half-life of 2,000 events."""

    strategy = "decayed_popularity"

    def _scores(self, columns: Columns, q: int) -> Floats:
        return self.memory.popular()
