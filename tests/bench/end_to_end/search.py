"""The search for the highest sustained rate: a bisection on a scale of ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CLOSE = 1.04
"""The search ends when the lowest failed rate is this many times the highest sustained one."""
DIGITS = 3


class Tried(NamedTuple):
    """A rate in events per second, and whether it was sustained."""

    rate: float
    sustained: bool


def best(tried: Sequence[Tried]) -> float | None:
    """The highest sustained rate; ``None`` if there is none."""
    return max((one.rate for one in tried if one.sustained), default=None)


def next_rate(tried: Sequence[Tried], low: float, high: float, steps: int) -> float | None:
    """The next rate to try; ``None`` after so many steps, or if the search is close enough.

    The rate is assumed to be between ``low`` and ``high``. If ``low`` fails too, the search goes on
    below it, halving.
    """
    if len(tried) >= steps:
        return None
    floor = best(tried)
    ceiling = min((one.rate for one in tried if not one.sustained and one.rate > (floor or 0)), default=high)
    if floor is None and ceiling <= low * CLOSE:
        return rounded(ceiling / 2)
    floor = floor or low
    return rounded(math.sqrt(floor * ceiling)) if ceiling / floor > CLOSE else None


def rounded(rate: float) -> float:
    """The rate with three digits, which is how it is reported."""
    return float(f"{rate:.{DIGITS}g}")
