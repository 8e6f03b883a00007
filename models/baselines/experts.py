"""One sparse expert alone, and the fixed sum of some: the hybrid without net and gate."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit

from models.baselines.counting import Counting
from models.experts.columns import Columns
from models.experts.rows import EXPERTS, FAST_MARKOV, FAST_RULES, MARKOV
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, f4

REPEATS = len(EXPERTS)


class Expert(Counting):
    """Scores by the experts' rows; ``shares`` weighs them by name, and ``repeats``."""

    shares: ClassVar[dict[str, float]]

    def _scores(self, columns: Columns, q: int) -> Floats:
        scores = np.zeros(self.memory.vocabulary.height, np.float32)
        weigh(columns.window[q], self.memory.rows, self._shares(), scores)
        return scores

    @classmethod
    def _shares(cls) -> Floats:
        return np.array([cls.shares.get(name, 0) for name in (*EXPERTS, "repeats")], np.float32)


class Markov(Expert):
    """What came right after the last item."""

    strategy, shares = "markov", {"markov": 1}


class FastMarkov(Expert):
    """The same, forgetting."""

    strategy, shares = "fast_markov", {"fast_markov": 1}


class Rules(Expert):
    """What came after the last ten items, up to ten steps later."""

    strategy, shares = "rules", {"rules": 1}


class FastRules(Expert):
    """The same, forgetting."""

    strategy, shares = "fast_rules", {"fast_rules": 1}


class Cooccurrence(Expert):
    """What came within ten steps of the last ten items."""

    strategy, shares = "cooccurrence", {"cooccurrence": 1}


class Backward(Expert):
    """What came before the last ten items."""

    strategy, shares = "backward", {"backward": 1}


class Repeats(Expert):
    """The last ten items again, the last one first."""

    strategy, shares = "repeats", {"repeats": 1}


class FixedSum(Expert):
    """What the hybrid takes its candidates by."""

    strategy, shares = "fixed_sum", {"markov": 1, "rules": 1, "cooccurrence": 1, "repeats": 0.2}


@njit(**KERNEL)
def weigh(window, rows, shares, scores):  # type: ignore[no-untyped-def]
    """Add every named item's score into ``scores`` [height]; the scores are those of `models.gate.features`."""
    size, norm = 0, ZERO
    while size < window.shape[0] and window[size] >= 0:
        norm += ONE / f4(1 + size)
        size += 1
    scale = np.zeros(6, np.float32)
    for recency in range(size):
        source = window[recency]
        share, total = ONE / f4(1 + recency) / norm, rows.total[source]
        for expert in range(6):
            fast, adjacent = expert in (FAST_RULES, FAST_MARKOV), expert in (MARKOV, FAST_MARKOV)
            one = rows.increment[source] if fast else ONE
            weight = (ONE if recency == 0 else ZERO) if adjacent else share
            scale[expert] = shares[expert] * weight / (total[expert] + one)
        for slot in range(rows.used[source]):
            x = rows.item[source, slot]
            for expert in range(6):
                scores[x] += scale[expert] * rows.weight[source, slot, expert]
        scores[source] += shares[REPEATS] * share
