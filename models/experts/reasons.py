"""Reasons: the expert and the prefix item that contributed most to a ranked item's fixed sum."""

from __future__ import annotations

from numba import njit

from models.experts.rows import COOCCURRENCE, MARKOV, RULES
from models.kernels.numerics import KERNEL, ONE, ZERO, f4

REASONS = ("markov", "rules", "cooccurrence", "repeat")
"""Reasons by number. The next number stands for the encoder: no expert named the item."""
_MARKOV, _RULES, _COOCCURRENCE, _REPEAT, _ENCODER = range(5)


@njit(**KERNEL)
def explain(window, rows, place_of, items, reasons, because):  # type: ignore[no-untyped-def]
    """Write a reason and a source row (-1 for none) for each of the N ranked ``items`` int32[N].

    ``window`` int32[10] has the rows of the prefix, most recent first, -1 padded. ``place_of``
    int32[capacity] is the index in ``items`` of each ranked item, and -1 for any other. The results
    go to ``reasons`` int32[N], numbered as `REASONS`, and ``because`` int32[N].
    """
    most = [ZERO] * items.shape[0]  # [N]
    for place in range(items.shape[0]):
        reasons[place], because[place] = _ENCODER, -1
    size, norm = 0, ZERO
    while size < window.shape[0] and window[size] >= 0:
        norm += ONE / f4(1 + size)
        size += 1
    for recency in range(size):
        source = window[recency]
        share, total = ONE / f4(1 + recency) / norm, rows.total[source]
        for slot in range(rows.used[source]):
            place = place_of[rows.item[source, slot]]
            if place < 0:
                continue
            w = rows.weight[source, slot]
            markov = w[MARKOV] / (total[MARKOV] + ONE) if recency == 0 else ZERO
            rules, together = share * w[RULES] / (total[RULES] + ONE), share * w[COOCCURRENCE] / (total[COOCCURRENCE] + ONE)
            reason, value = _MARKOV, markov
            if rules > value:
                reason, value = _RULES, rules
            if together > value:
                reason, value = _COOCCURRENCE, together
            if value > most[place]:
                most[place], reasons[place], because[place] = value, reason, source
        place = place_of[source]
        if place >= 0 and share * f4(0.2) > most[place]:
            most[place], reasons[place], because[place] = share * f4(0.2), _REPEAT, source
