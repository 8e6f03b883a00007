"""A recorded stream of transitions, and which of them an evaluation predicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.transition import Transitions


@dataclass
class Stream:
    """T transitions in order, each with its session's number and whether the test file has it."""

    transitions: Transitions = field(default_factory=Transitions)
    session: list[int] = field(default_factory=list)
    of_test_file: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.transitions)

    def predicted(self, only_test_file: bool) -> NDArray[np.bool_]:
        """Which transitions [T] are predicted: those with a prefix, unless they are late.

        A late transition has a weight of 0.
        """
        batch = self.transitions
        warm = np.array(
            [bool(prefix) and weight > 0 for prefix, weight in zip(batch.prefix, batch.weight, strict=True)], np.bool_
        )  # [T]
        return warm & np.array(self.of_test_file, np.bool_) if only_test_file else warm

    def seen_before(self, learned: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How often each transition's item occurred before it [T], counting ``learned`` ones."""
        counts, before = Counter[str](), np.zeros(len(self), np.int64)  # [T]
        for n, item in enumerate(self.transitions.item):
            before[n] = counts[item]
            counts[item] += bool(learned[n])
        return before

    def items(self) -> Counter[str]:
        """Every item, and how often it occurs."""
        return Counter(self.transitions.item)
