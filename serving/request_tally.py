"""Requests and their durations for Prometheus, counted without locks: prometheus-client's own take one for every number."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.histogram import bucket_name


class RequestTally(Collector):
    """A counter by route, method and status, and a histogram by route and method. For the event loop's thread alone."""

    def __init__(self, prefix: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._prefix, self._bounds = prefix, [*map(float, buckets), float("inf")]
        self._requests: dict[tuple[str, str, str], int] = {}
        self._durations: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        registry.register(self)

    def count(self, route: str, method: str, status: str, seconds: float | None) -> None:
        """A request was answered; without ``seconds`` its duration says nothing, as a stream's."""
        key = (route, method, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if seconds is None:
            return
        held = self._durations.get((route, method))
        if held is None:
            held = self._durations[route, method] = ([0] * len(self._bounds), [0.0])
        held[0][bisect_left(self._bounds, seconds)] += 1
        held[1][0] += seconds

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """The state of now, for a scrape."""
        name = f"{self._prefix}_requests"
        requests = CounterMetricFamily(
            name, "Requests by route template, method and status.", labels=["route", "method", "status"]
        )
        for labels, number in self._requests.items():
            requests.add_metric(labels, number)
        yield requests
        durations = HistogramMetricFamily(
            f"{self._prefix}_request_seconds", "From a request's head to the end of its answer, streams left out.",
            labels=["route", "method"],
        )  # fmt: skip
        for labels_, (counts, total) in self._durations.items():
            cumulative = [(bucket_name(bound), n) for bound, n in zip(self._bounds, accumulate(counts), strict=True)]
            durations.add_metric(labels_, cumulative, total[0])
        yield durations
