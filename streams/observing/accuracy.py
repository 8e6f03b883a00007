"""Live prequential accuracy: was an event's item in the previous ranking of its session? Pure.

Previous rankings are in memory only. After a fail-over, the tests against them are skipped and
counted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

CUT = 20
"""Number of items of a ranking that are tested."""
HALF_LIFE = 10_000
"""Number of later tests of the model after which a test has half its weight."""
GROWTH = 2 ** (1 / HALF_LIFE)
"""Each test has this many times the weight of the one before, so old ones fade by themselves."""
RESCALE_AT = 1e100
"""At this weight all weights are scaled down, long before a float overflows."""
MODEL, POPULARITY = "model", "popularity"
MISSED = -1
"""The place of an item that is not in a ranking."""


class Tally:
    """The hits of one method by place, counting from 0, over the whole run and faded by age."""

    __slots__ = ("at", "fading", "tests", "weight")

    def __init__(self) -> None:
        self.tests, self.weight = 0, 0.0
        self.at = [0] * CUT
        self.fading = [0.0] * CUT

    def add(self, place: int, weight: float) -> None:
        """Count one test. ``place`` is that of the event's item in the ranking, or `MISSED`."""
        self.tests += 1
        self.weight += weight
        if place >= 0:
            self.at[place] += 1
            self.fading[place] += weight

    def shrink(self, scale: float) -> None:
        """Multiply every weight."""
        self.weight *= scale
        self.fading = [weight * scale for weight in self.fading]

    def hits(self, k: int) -> int:
        """Return the number of tests whose item was among the first k."""
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
        """Return the recent recall@k; NaN before the first test."""
        return sum(self.fading[:k]) / self.weight if self.tests else math.nan

    def late_mrr(self, k: int) -> float:
        """Return the recent MRR@k; NaN before the first test."""
        return sum(hits / (place + 1) for place, hits in enumerate(self.fading[:k])) / self.weight if self.tests else math.nan

    def late_ndcg(self, k: int) -> float:
        """Return the recent NDCG@k; NaN before the first test.

        One item is relevant, so its gain is 1 / log2(rank + 1) and the ideal gain is 1.
        """
        gains = (hits / math.log2(place + 2) for place, hits in enumerate(self.fading[:k]))
        return sum(gains) / self.weight if self.tests else math.nan


class LiveAccuracy:
    """The tallies of the model, of the popularity baseline, and of each expert by itself.

    Experts are tested on a sample of the events only: see `streams.observing.observer.SAMPLED`.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.model, self.popularity = self.tallies[MODEL], self.tallies[POPULARITY]
        self.skipped = 0
        self._weight = 1.0

    def test(
        self, item: str, ranking: Sequence[str], popular: Mapping[str, int], per_expert: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        """Test an event's item against rankings of at most 20 items.

        Returns its place in the model's ranking, or `MISSED`. ``popular`` maps items to places,
        since many events are tested against the same ranking.
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
    """Return the item's place in a ranking, counting from 0, or `MISSED`."""
    return ranking.index(item) if item in ranking else MISSED
