"""Live prequential accuracy: was an event's item in the ranking of the same session's previous event?

The rankings remembered are neither state nor changelog: after a fail-over such tests are skipped, and counted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

CUT = 20
"""Places of a ranking that are tested."""
HALF_LIFE = 10_000
"""Tests of the model after which a test weighs half."""
GROWTH = 2 ** (1 / HALF_LIFE)
RESCALE_AT = 1e100
MODEL, POPULARITY = "model", "popularity"
MISSED = -1


class Tally:
    """Hits of one method by place, counting from 0: over the whole run, and fading.

    What fades does so without being touched: instead of older hits' weights shrinking, those of newer ones grow.
    """

    __slots__ = ("at", "fading", "tests", "weight")

    def __init__(self) -> None:
        self.tests, self.weight = 0, 0.0
        self.at = [0] * CUT
        self.fading = [0.0] * CUT

    def add(self, place: int, weight: float) -> None:
        """Count one test: the place of the item that came, or `MISSED`."""
        self.tests += 1
        self.weight += weight
        if place >= 0:
            self.at[place] += 1
            self.fading[place] += weight

    def shrink(self, scale: float) -> None:
        """Multiply every weight."""
        self.weight *= scale
        self.fading = [held * scale for held in self.fading]

    def hits(self, k: int) -> int:
        """Tests whose item was among the first k."""
        return sum(self.at[:k])

    @property
    def recall(self) -> float:
        """Recall@20 over the whole run; NaN before the first test."""
        return self.hits(CUT) / self.tests if self.tests else math.nan

    @property
    def mrr(self) -> float:
        """MRR@20 over the whole run; NaN before the first test."""
        return sum(count / (place + 1) for place, count in enumerate(self.at)) / self.tests if self.tests else math.nan

    def late_recall(self, k: int) -> float:
        """Recall@k of late; NaN before the first test."""
        return sum(self.fading[:k]) / self.weight if self.tests else math.nan

    def late_mrr(self, k: int) -> float:
        """MRR@k of late."""
        return sum(held / (place + 1) for place, held in enumerate(self.fading[:k])) / self.weight if self.tests else math.nan

    def late_ndcg(self, k: int) -> float:
        """NDCG@k of late: of one right item, 1 / log2 of its rank and 1."""
        gains = (held / math.log2(place + 2) for place, held in enumerate(self.fading[:k]))
        return sum(gains) / self.weight if self.tests else math.nan


class LiveAccuracy:
    """The tallies of the model, of popularity beside it, and of experts alone where they ranked too."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.model, self.popularity = self.tallies[MODEL], self.tallies[POPULARITY]
        self.skipped = 0
        self._weight = 1.0

    def test(
        self, item: str, ranking: Sequence[str], popular: Mapping[str, int], per_expert: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        """Test the item that came against rankings of at most 20 places; returns its place in the model's, or `MISSED`.

        Of what is popular the places are given, as many events are tested against the same.
        """
        weight = self._weight = self._weight * GROWTH
        place = place_of(item, ranking)
        self.model.add(place, weight)
        self.popularity.add(popular.get(item, MISSED), weight)
        if per_expert is not None:
            for expert, of_expert in per_expert.items():
                self.tallies[expert].add(place_of(item, of_expert), weight)
        if weight > RESCALE_AT:
            for tally in self.tallies.values():
                tally.shrink(1 / weight)
            self._weight = 1.0
        return place


def place_of(item: str, ranking: Sequence[str]) -> int:
    """The item's place in a ranking, counting from 0, or `MISSED`."""
    return ranking.index(item) if item in ranking else MISSED
