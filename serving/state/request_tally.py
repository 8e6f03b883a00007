"""Counts requests and their durations for Prometheus, without locks.

The metrics of prometheus-client take a lock for every number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.observing.histogram import bucket_name


class RequestTotal(Collector):
    """The counter of requests by route, method and status."""

    _type, _labelnames = "counter", ("route", "method", "status")
    _documentation = "Requests by route template, method and status."

    def __init__(self, prefix: str) -> None:
        self._name = f"{prefix}_requests"
        self.counts: dict[tuple[str, str, str], int] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the current counts, for a scrape."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labelnames)
        for labels, number in self.counts.items():
            family.add_metric(labels, number)
        yield family


class RequestSeconds(Collector):
    """The histogram of durations by route and method."""

    _type, _labelnames = "histogram", ("route", "method")
    _documentation = "Time from a request's head to the end of its answer, without streams."

    def __init__(self, prefix: str, buckets: Sequence[float]) -> None:
        self._name, self._bounds = f"{prefix}_request_seconds", [*map(float, buckets), float("inf")]
        self._counts: dict[tuple[str, str], tuple[list[int], list[float]]] = {}

    def observe(self, route: str, method: str, seconds: float) -> None:
        """Count one duration."""
        tally = self._counts.get((route, method))
        if tally is None:
            tally = self._counts[route, method] = ([0] * len(self._bounds), [0.0])
        tally[0][bisect_left(self._bounds, seconds)] += 1
        tally[1][0] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the current counts, for a scrape."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labelnames)
        for labels, (counts, total) in self._counts.items():
            cumulative = [(bucket_name(bound), n) for bound, n in zip(self._bounds, accumulate(counts), strict=True)]
            family.add_metric(labels, cumulative, total[0])
        yield family


class RequestTally:
    """The counter and the histogram of requests. Only the thread of the event loop may use it."""

    def __init__(self, prefix: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._total, self._seconds = RequestTotal(prefix), RequestSeconds(prefix, buckets)
        registry.register(self._total)
        registry.register(self._seconds)

    def count(self, route: str, method: str, status: str, seconds: float | None) -> None:
        """Count an answered request. ``seconds`` is ``None`` for a stream: it has no latency."""
        counts, key = self._total.counts, (route, method, status)
        counts[key] = counts.get(key, 0) + 1
        if seconds is not None:
            self._seconds.observe(route, method, seconds)
