"""A Prometheus histogram that takes all observations of a unit at once. Pure, except for a lock."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """A histogram without labels.

    prometheus-client's own histogram takes a lock for each observation. Values below 0 count as 0,
    and values above ``worst`` count as ``worst``: otherwise the ages in a replay of an old log
    would make the sum useless. The event loop observes, and the thread of the endpoint collects.
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

    def observe(self, value: float) -> None:
        """Count one value."""
        value = min(max(value, 0.0), self._worst)
        first = bisect_left(self._bounds, value)
        with self._lock:
            upto = self._upto
            for number in range(first, len(upto)):
                upto[number] += 1
            self._sum += value

    def observe_ages(self, times: Sequence[int], now: float) -> None:
        """Count the age of each time, in seconds. Times are in epoch ms, ``now`` is in seconds."""
        if not times:
            return
        ordered = sorted(times)  # cheap, since they are nearly sorted
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
        """Yield the present state, for a scrape."""
        with self._lock:
            upto, total = list(self._upto), self._sum
        cumulative = [(bucket_name(bound), float(count)) for bound, count in zip(self._bounds, upto, strict=True)]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=cumulative, sum_value=total)


def bucket_name(bound: float) -> str:
    """Return the bound as Prometheus writes it in the label `le`."""
    return "+Inf" if bound == float("inf") else repr(bound)
