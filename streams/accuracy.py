"""Live prequential accuracy: was an event's item in the ranking of the same session's previous event?

The rankings remembered are neither state nor changelog: after a fail-over such tests are skipped, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CUT = 20

SessionName = tuple[int, bytes, int]
"""Names one session among all: its partition, its state key and the offset of its first event."""


@dataclass(slots=True)
class Tally:
    """Hits and reciprocal ranks over the whole run, each test of equal weight."""

    tests: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0

    def add(self, ranking: Sequence[str], item: str) -> None:
        """Count one test of ``item`` against a ranking of at most 20 places."""
        self.tests += 1
        if item in ranking:
            self.hits += 1
            self.reciprocal_ranks += 1 / (ranking.index(item) + 1)

    @property
    def recall(self) -> float:
        """Recall@20; NaN before the first test."""
        return self.hits / self.tests if self.tests else float("nan")

    @property
    def mrr(self) -> float:
        """MRR@20; NaN before the first test."""
        return self.reciprocal_ranks / self.tests if self.tests else float("nan")


class LiveAccuracy:
    """Tests the model and popularity beside it, remembering the last rankings of at most ``capacity`` sessions.

    Two plain dicts take turns: when the younger is full it becomes the older, and the older is forgotten. So the last
    ``capacity / 2`` sessions are always there, for less than keeping an order of use would cost each event.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self.model = Tally()
        self.popularity = Tally()
        self.skipped = 0
        self._half = max(capacity // 2, 1)
        self._younger: dict[SessionName, Sequence[str]] = {}
        self._older: dict[SessionName, Sequence[str]] = {}

    def test(self, name: SessionName, item: str, popular: Sequence[str]) -> None:
        """Test the item that came, which is not its session's first: that has nothing to be tested against."""
        ranking = self._younger.get(name)
        if ranking is None:
            ranking = self._older.get(name)
        if ranking is None:
            self.skipped += 1
            return
        self.model.add(ranking, item)
        self.popularity.add(popular[:CUT], item)

    def remember(self, name: SessionName, items: Sequence[str]) -> None:
        """Keep the ranking that the session's next event is tested against."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger[name] = items[:CUT]

    def forget(self, name: SessionName) -> None:
        """Drop the session's ranking."""
        self._younger.pop(name, None)
        self._older.pop(name, None)
