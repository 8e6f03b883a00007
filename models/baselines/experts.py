"""Single sparse experts, and the fixed sum of some of them: the hybrid without net and gate."""

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
    """Scores items by the experts' rows.

    ``shares`` has the weight of each expert by name, and that of ``repeats``.
    """

    shares: ClassVar[dict[str, float]]

    def _scores(self, columns: Columns, q: int) -> Floats:
        scores = np.zeros(self.memory.vocabulary.height, np.float32)  # [height]
        weigh(columns.window[q], self.memory.rows, self._shares(), scores)
        return scores

    @classmethod
    def _shares(cls) -> Floats:
        """The weights [7] in the order of the experts, then that of repeats."""
        return np.array([cls.shares.get(name, 0) for name in (*EXPERTS, "repeats")], np.float32)


class Markov(Expert):
    """Items that came right after the last item."""

    strategy, shares = "markov", {"markov": 1}


class FastMarkov(Expert):
    """As `Markov`, with older counts fading."""

    strategy, shares = "fast_markov", {"fast_markov": 1}


class Rules(Expert):
    """Items that came up to ten steps after the last ten items."""

    strategy, shares = "rules", {"rules": 1}


class FastRules(Expert):
    """As `Rules`, with older counts fading."""

    strategy, shares = "fast_rules", {"fast_rules": 1}


class Cooccurrence(Expert):
    """Items that came within ten steps of the last ten items, before or after."""

    strategy, shares = "cooccurrence", {"cooccurrence": 1}


class Backward(Expert):
    """Items that came up to ten steps before the last ten items."""

    strategy, shares = "backward", {"backward": 1}


class Repeats(Expert):
    """The last ten items again, the most recent first."""

    strategy, shares = "repeats", {"repeats": 1}


class FixedSum(Expert):
    """The sum by which the hybrid selects the experts' candidates."""

    strategy, shares = "fixed_sum", {"markov": 1, "rules": 1, "cooccurrence": 1, "repeats": 0.2}


@njit(**KERNEL)
def weigh(window, rows, shares, scores):  # type: ignore[no-untyped-def]
    """Add the weighted scores of the items that the experts name to ``scores`` [height].

    ``window`` is int32[10], ``shares`` [7]. The scores are the same as in `models.gate.features`.
    """
    size, norm = 0, ZERO
    while size < window.shape[0] and window[size] >= 0:
        norm += ONE / f4(1 + size)
        size += 1
    scale = np.zeros(6, np.float32)  # [6]
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
