"""Live prequential accuracy: was an event's item in the ranking of the same session's previous event?

The rankings remembered are neither state nor changelog: after a fail-over such tests are skipped, and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

CUT = 20


class SessionName(NamedTuple):
    """Names one session among all: its partition, its state key and the offset of its first event."""

    partition: int
    key: bytes
    first_offset: int


@dataclass(slots=True)
class Tally:
    """Hits and reciprocal ranks over the whole run, each test of equal weight."""

    tests: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0

    def add(self, ranking: Sequence[str], item: str) -> None:
        """Count one test of ``item`` against the first 20 places."""
        self.tests += 1
        try:
            rank = ranking.index(item, 0, CUT) + 1
        except ValueError:
            return
        self.hits += 1
        self.reciprocal_ranks += 1 / rank

    @property
    def recall(self) -> float:
        """Recall@20; NaN before the first test."""
        return self.hits / self.tests if self.tests else float("nan")

    @property
    def mrr(self) -> float:
        """MRR@20; NaN before the first test."""
        return self.reciprocal_ranks / self.tests if self.tests else float("nan")


class LiveAccuracy:
    """Tests the model and popularity beside it, remembering the last ranking of at most ``capacity`` sessions."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.model = Tally()
        self.popularity = Tally()
        self.skipped = 0
        self._capacity = capacity
        self._rankings: OrderedDict[SessionName, Sequence[str]] = OrderedDict()

    def test(self, name: SessionName, item: str, popular: Sequence[str], *, first: bool) -> None:
        """Test the item that came; the first of a session has nothing to be tested against."""
        if first:
            return
        ranking = self._rankings.get(name)
        if ranking is None:
            self.skipped += 1
            return
        self.model.add(ranking, item)
        self.popularity.add(popular, item)

    def remember(self, name: SessionName, items: Sequence[str]) -> None:
        """Keep the ranking that the session's next event is tested against."""
        self._rankings[name] = items[:CUT]
        self._rankings.move_to_end(name)
        while len(self._rankings) > self._capacity:
            self._rankings.popitem(last=False)
