"""A recorded stream of transitions, and what becomes of each when a method is evaluated on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.transition import Transitions


@dataclass
class Stream:
    """Transitions in order, each with its session, and whether it is of the test file."""

    transitions: Transitions = field(default_factory=Transitions)
    session: list[int] = field(default_factory=list)
    of_test_file: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.transitions)

    def predicted(self, only_test_file: bool) -> NDArray[np.bool_]:
        """Which transitions are predicted: those with a prefix that were not late, of the test file or of all."""
        batch = self.transitions
        warm = np.array(
            [bool(prefix) and weight > 0 for prefix, weight in zip(batch.prefix, batch.weight, strict=True)], np.bool_
        )
        return warm & np.array(self.of_test_file, np.bool_) if only_test_file else warm

    def seen_before(self, learned: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How often each transition's item came before it, in those that are learned."""
        counts, before = Counter[str](), np.zeros(len(self), np.int64)
        for n, item in enumerate(self.transitions.item):
            before[n] = counts[item]
            counts[item] += bool(learned[n])
        return before

    def items(self) -> Counter[str]:
        """Every item, and how often it came."""
        return Counter(self.transitions.item)
