from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from support.processes.running import samples

from streams.observing.histogram import BulkHistogram

BUCKETS = (0.001, 0.01, 0.5, 1.0)


EXACT = (2**-10, 2**-7, 0.5, 1.0)
"""Bounds with exact sums: since Python 3.12 `sum` rounds differently than repeated addition."""


@given(st.lists(st.lists(st.sampled_from([0.0, 2**-10, 2**-10 + 2**-14, 2**-7, 0.25, 0.5, 1.0, 2.0, 3600.0]))))
def test_a_scrape_equals_that_of_prometheus_clients_own_histogram(units: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    bulk = BulkHistogram("freshness_seconds", "Text.", EXACT, ours)
    single = Histogram("freshness_seconds", "Text.", buckets=EXACT, registry=theirs)
    for unit in units:
        for value in unit:
            bulk.observe(value)
            single.observe(value)
    assert generate_latest(ours) == b"\n".join(line for line in generate_latest(theirs).split(b"\n") if b"_created" not in line)


@given(st.lists(st.integers(0, 100_000_000)), st.integers(0, 100_000_000))
def test_ages_are_observed_in_seconds(times: list[int], now_ms: int) -> None:
    scrapes = []
    for by_time in (True, False):
        registry = CollectorRegistry()
        bulk = BulkHistogram("age_seconds", "Text.", (0.5, 60.0, 3600.0), registry, worst=3600.0)
        if by_time:
            bulk.observe_ages(times, now_ms / 1000)
        else:
            for time in times:
                bulk.observe((now_ms - time) / 1000)
        scrapes.append(samples(generate_latest(registry).decode()))
    assert scrapes[0] == pytest.approx(scrapes[1])


def test_values_below_0_count_as_0_and_above_the_worst_as_the_worst() -> None:
    registry = CollectorRegistry()
    bulk = BulkHistogram("freshness_seconds", "Text.", BUCKETS, registry, worst=60.0)
    for value in (-5.0, 0.3, 1e9):
        bulk.observe(value)
    text = generate_latest(registry).decode()
    assert "freshness_seconds_sum 60.3" in text
    assert 'freshness_seconds_bucket{le="0.001"} 1.0' in text
    assert "freshness_seconds_count 3.0" in text
