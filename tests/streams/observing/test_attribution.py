from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.events.records import recommendation_id, trigger_of
from streams.observing.accuracy import MISSED
from streams.observing.attribution import RANKS, attributed, rank_label
from streams.observing.metrics import LABELS
from streams.observing.ranking_cache import RankingCache, Remembered

TOPIC = "shop-1.events"


def test_ranks_have_few_labels() -> None:
    labels = [rank_label(place) for place in range(20)]
    assert labels == ["1", *["2-3"] * 2, *["4-5"] * 2, *["6-10"] * 5, *["11-20"] * 10]
    assert rank_label(MISSED) == "none"
    assert tuple(LABELS["rank"]) == RANKS


@given(st.text(min_size=1), st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
def test_the_trigger_can_be_read_from_the_id(topic: str, partition: int, offset: int) -> None:
    assert trigger_of(recommendation_id(topic, partition, offset), topic) == (partition, offset)


@given(st.text())
def test_any_other_id_has_no_trigger(text: str) -> None:
    assert trigger_of(text, "another topic") is None


def test_an_event_is_attributed_to_the_place_in_the_recommendation_that_it_names() -> None:
    cache = RankingCache()
    cache.remember(Remembered((2, b"u:ann", 0), 7, ["a", "b", "c", "d"], "hybrid"))
    of = recommendation_id(TOPIC, 2, 7)
    assert attributed(cache, TOPIC, of, "a") == ("hybrid", "1")
    assert attributed(cache, TOPIC, of, "d") == ("hybrid", "4-5")
    assert attributed(cache, TOPIC, of, "z") == ("hybrid", "none")
    assert attributed(cache, TOPIC, recommendation_id(TOPIC, 2, 8), "a") is None
    assert attributed(cache, "other.events", of, "a") is None
    for foreign in ("popular-1700000000000", "", "-", f"{TOPIC}-2-", f"{TOPIC}--7", f"{TOPIC}-²-7", "x" * 256):
        assert attributed(cache, TOPIC, foreign, "a") is None
