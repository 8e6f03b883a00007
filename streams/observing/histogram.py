"""A Prometheus histogram that takes a whole unit's observations at once."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """Without labels. prometheus-client's own takes a lock per observation, which every event would pay for.

    What lies outside of 0 and ``worst`` counts as that: a replay of an old log would turn the sum of ages into nonsense.
    """

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry, worst: float = float("inf")
    ) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = [*map(float, buckets), float("inf")]
        self._upto = [0] * len(self._bounds)
        self._sum, self._worst = 0.0, worst
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: Sequence[float]) -> None:
        """Count every value."""
        if not values:
            return
        ordered = sorted(values)
        if ordered[0] < 0 or ordered[-1] > self._worst:
            values = ordered = [min(max(value, 0.0), self._worst) for value in ordered]
        self._add([bisect_right(ordered, bound) for bound in self._bounds], values)

    def observe_ages(self, times: Sequence[int], now: float) -> None:
        """Count what the age of each of these times is, in seconds; they are in epoch ms, and ``now`` is in seconds."""
        if not times:
            return
        ordered = sorted(times)  # which costs little, as they nearly are
        now_ms, worst_ms = now * 1000, self._worst * 1000
        upto = [
            len(ordered) - (bisect_left(ordered, now_ms - bound * 1000) if bound < self._worst else 0) for bound in self._bounds
        ]
        first, end = bisect_left(ordered, now_ms - worst_ms), bisect_right(ordered, now_ms)
        within_ms = (end - first) * now_ms - sum(ordered[first:end])
        self._add(upto, [((first * worst_ms if first else 0.0) + within_ms) / 1000])

    def _add(self, upto: list[int], amounts: Iterable[float]) -> None:
        with self._lock:
            self._upto = list(map(int.__add__, self._upto, upto))
            self._sum = sum(amounts, self._sum)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The state of now, for a scrape."""
        with self._lock:
            upto, total = self._upto, self._sum
        cumulative = [(bucket_name(bound), float(count)) for bound, count in zip(self._bounds, upto, strict=True)]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=cumulative, sum_value=total)


def bucket_name(bound: float) -> str:
    """As Prometheus writes it in the label `le`."""
    return "+Inf" if bound == float("inf") else repr(bound)
