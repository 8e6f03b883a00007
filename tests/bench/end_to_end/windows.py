"""What the arrivals of a run say: lag, freshness and recall over the judged part. Pure.

All times are in seconds of one clock. An event that has no recommendation arrives at NaN. Only
events that are due in the judged part count: the part before it warms the processes up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CUT = 20
MISSED, UNTESTED = -1, -2
"""The place of an item that is not in the ranking; that of an event with which a session ends."""
MOST_GROWTH = 0.01
"""Lag grows if it takes up more than this share of the events that are offered meanwhile."""
MOST_RECALL_LOST = 0.01
LATE_S = 0.1
"""The generator has kept its schedule if 99 % of the events were sent at most so late."""
SAMPLES = 300

Seconds = NDArray[np.float64]
Places = NDArray[np.int16]


class Part(NamedTuple):
    """The judged part of a run: from ``begin`` until before ``end``."""

    begin: float
    end: float

    def of(self, due: Seconds) -> NDArray[np.bool_]:
        """Which events are due in this part."""
        return (due >= self.begin) & (due < self.end)


class Freshness(NamedTuple):
    """Milliseconds from when an event is due until its recommendation arrived at the consumer.

    Infinite if too many never arrived.
    """

    p50: float
    p99: float
    p999: float


class Verdict(NamedTuple):
    """Whether a rate is sustained, and why not."""

    sustained: bool
    reasons: list[str]


def lag(due: Seconds, arrived: Seconds, at: Seconds) -> NDArray[np.int64]:
    """How many events were due at each of these times and had no recommendation yet."""
    offered = np.searchsorted(np.sort(due), at, "right")
    done = np.searchsorted(np.sort(arrived[~np.isnan(arrived)]), at, "right")
    return (offered - done).astype(np.int64)


def growth(due: Seconds, arrived: Seconds, part: Part) -> float:
    """The share of the offered events by which lag grows over the part; negative if it falls.

    It compares the median lag of the last third with that of the first third, so that a single
    stall does not decide. 0.25 means that a quarter of the offered events is added to the lag.
    """
    at = np.linspace(part.begin, part.end, SAMPLES, endpoint=False)
    lags, third = lag(due, arrived, at), SAMPLES // 3
    before, after = np.median(lags[:third]), np.median(lags[-third:])
    between = (part.end - part.begin) * 2 / 3
    offered = part.of(due).sum() / (part.end - part.begin) * between
    return float((after - before) / max(offered, 1))


def percentile(values: Seconds, share: float) -> float:
    """The value at this share of the values, by nearest rank; NaN counts as infinite."""
    if not len(values):
        return math.nan
    ordered = np.sort(np.where(np.isnan(values), np.inf, values))
    return float(ordered[max(math.ceil(share * len(ordered)) - 1, 0)])


def freshness(due: Seconds, arrived: Seconds, part: Part) -> Freshness:
    """The freshness of the events of the part."""
    rows = part.of(due)
    took = (arrived[rows] - due[rows]) * 1000
    return Freshness(percentile(took, 0.5), percentile(took, 0.99), percentile(took, 0.999))


def recall(place: Places) -> float:
    """The share of the tested events whose session's next item was among the first 20."""
    tested = place[place != UNTESTED]
    return float(((tested >= 0) & (tested < CUT)).mean()) if len(tested) else math.nan


def judge(grown: float, live: float, offline: float, late: float, missing: int) -> Verdict:
    """Whether a rate is sustained.

    ``grown`` is the `growth`, ``live`` and ``offline`` are recalls of the same events, ``late`` is
    the generator's p99 in seconds, ``missing`` counts events without a recommendation at the end.
    """
    reasons = []
    if late > LATE_S:
        reasons.append(f"the generator was {late:.2f} s late")
    if grown > MOST_GROWTH:
        reasons.append(f"lag grows by {grown:.1%} of the events")
    if missing:
        reasons.append(f"{missing} events had no recommendation in time")
    if not live >= offline - MOST_RECALL_LOST:  # also if there is nothing to compare
        reasons.append(f"recall {live:.3f}, offline {offline:.3f}")
    return Verdict(not reasons, reasons)
