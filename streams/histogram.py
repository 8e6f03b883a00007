"""A Prometheus histogram that takes a whole unit's observations at once."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """Without labels. prometheus-client's own takes a lock per observation, which every event would pay for."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = [*map(float, buckets), float("inf")]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: Iterable[float]) -> None:
        """Count every value."""
        bounds, counts = self._bounds, self._counts
        with self._lock:
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The state of now, for a scrape."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        cumulative = [(bucket_name(bound), float(count)) for bound, count in zip(self._bounds, accumulate(counts), strict=True)]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=cumulative, sum_value=total)


def bucket_name(bound: float) -> str:
    """As Prometheus writes it in the label `le`."""
    return "+Inf" if bound == float("inf") else repr(bound)
