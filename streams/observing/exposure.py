"""What recommendations consist of, by a sample of them: whose items, how many of the long tail, how many repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

SHOWN = 20
"""The first places, which consumers show."""
WINDOW = 2000
OTHER = "other"


class Exposure:
    """Counts the first 20 items of sampled recommendations.

    ``head`` are the popular items; before it is known nothing is counted. ``experts`` are those that are told apart.
    """

    def __init__(self, experts: Collection[str]) -> None:
        self._experts = frozenset(experts)
        self.head: AbstractSet[str] = frozenset()
        self.distinct = 0
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._seen = 0

    def add(self, items: Sequence[str], reasons: Sequence[str], prefix: Sequence[str], counts: Counter[tuple[str, ...]]) -> None:
        """Count one recommendation: its items, who speaks for each, and the items that the session had before.

        ``counts`` gets ``("items", expert)``, ``("tail",)`` and ``("repeats",)``.
        """
        if not self.head:
            return
        shown = items[:SHOWN]
        for reason, count in Counter(reasons[:SHOWN]).items():
            counts["items", reason if reason in self._experts else OTHER] += count
        counts["tail",] += sum(item not in self.head for item in shown)
        counts["repeats",] += sum(item in prefix for item in shown)
        if self._seen == WINDOW:
            self._older, self._younger = self._younger, set()
            self.distinct, self._seen = len(self._older), 0
        self._seen += 1
        for item in shown:
            if item not in self._younger:
                self._younger.add(item)
                self.distinct += item not in self._older

    def coverage(self, known: int) -> float:
        """Share of the ``known`` items among those of the last 2,000 to 4,000 recommendations of the sample; NaN of none."""
        return min(self.distinct / known, 1.0) if known else float("nan")
