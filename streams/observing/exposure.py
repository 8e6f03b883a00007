"""Counts the items of sampled recommendations: by expert, of the long tail, and repeats.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

from streams.counts import Counts

SHOWN = 20
"""Number of items of a recommendation that consumers usually show."""
WINDOW = 2000
"""Coverage is measured over at least this many recommendations, and at most twice as many."""
OTHER = "other"
"""The label of all experts that have no label of their own."""


class Exposure:
    """Counts the first 20 items of sampled recommendations.

    ``head`` are the popular items; nothing is counted until they are known. ``experts`` are those
    that have a label of their own.
    """

    def __init__(self, experts: Collection[str]) -> None:
        self._experts = frozenset(experts)
        self.head: AbstractSet[str] = frozenset()
        self.distinct = 0
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._in_window = 0

    def add(self, items: Sequence[str], reasons: Sequence[str], prefix: Sequence[str], counts: Counts) -> None:
        """Count one recommendation.

        ``reasons`` are the experts of ``items``, and ``prefix`` are items that the session had
        before.
        """
        if not self.head:
            return
        shown = items[:SHOWN]
        for reason, count in Counter(reasons[:SHOWN]).items():
            counts.item(reason if reason in self._experts else OTHER, count)
        counts.tail_item(sum(item not in self.head for item in shown))
        counts.repeated_item(sum(item in prefix for item in shown))
        if self._in_window == WINDOW:
            self._older, self._younger = self._younger, set()
            self.distinct, self._in_window = len(self._older), 0
        self._in_window += 1
        for item in shown:
            if item not in self._younger:
                self._younger.add(item)
                self.distinct += item not in self._older

    def coverage(self, known: int) -> float:
        """Return the share of the ``known`` items that the sample has recommended recently.

        The sample is the last 2,000 to 4,000 recommendations. Returns NaN if no item is known.
        """
        return min(self.distinct / known, 1.0) if known else float("nan")
