"""Freshness by Kafka time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.state.freshness import Freshness


def test_without_samples_there_is_no_percentile() -> None:
    assert Freshness().percentile(0.5) is None


def test_either_record_may_be_read_first() -> None:
    freshness = Freshness()
    freshness.event(0, 7, 1000)
    freshness.recommendation(0, 7, 1004)
    freshness.recommendation(1, 7, 2010)
    freshness.event(1, 7, 2000)
    assert (freshness.percentile(0.5), freshness.percentile(1.0)) == (4.0, 10.0)


def test_an_event_without_a_recommendation_is_not_a_sample() -> None:
    freshness = Freshness()
    freshness.event(0, 0, 0)
    freshness.recommendation(1, 0, 5)
    assert freshness.percentile(0.5) is None


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300), st.sampled_from([0.5, 0.99, 1.0]))
def test_percentiles_are_exact_by_nearest_rank(delays: list[int], share: float) -> None:
    freshness = Freshness()
    for offset, delay in enumerate(delays):
        freshness.event(0, offset, 10_000)
        freshness.recommendation(0, offset, 10_000 + delay)
    got = freshness.percentile(share)
    assert got is not None
    at_most = sum(delay <= got for delay in delays)
    below = sum(delay < got for delay in delays)
    assert got in delays
    assert below < share * len(delays) <= at_most
    assert freshness.recent(share) == got
