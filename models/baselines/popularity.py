"""The same list for everybody: what was seen most often, of all time or of late."""

from __future__ import annotations

from models.baselines.counting import Counting
from models.experts.columns import Columns
from models.kernels.numerics import Floats


class Popularity(Counting):
    """By the number of interactions."""

    strategy = "popularity"

    def _scores(self, columns: Columns, q: int) -> Floats:
        return self.memory.statistics.popularity[: self.memory.vocabulary.height]


class DecayedPopularity(Counting):
    """By the number of interactions, which halves every 2,000 events."""

    strategy = "decayed_popularity"

    def _scores(self, columns: Columns, q: int) -> Floats:
        return self.memory.popular()
