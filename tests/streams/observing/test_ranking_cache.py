from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.observing.ranking_cache import RankingCache, Remembered
from streams.sessions.step import SessionName

ANN, BOB, CAT = (0, b"u:ann", 1), (0, b"u:bob", 2), (1, b"u:cat", 3)


def ranking(name: SessionName, offset: int) -> Remembered:
    return Remembered(name, offset, [f"i{offset}"], "hybrid")


def test_the_last_ranking_of_a_session_and_any_recent_one_by_its_trigger() -> None:
    cache = RankingCache()
    cache.remember(ranking(ANN, 5))
    cache.remember(ranking(ANN, 9))
    cache.remember(ranking(CAT, 5))
    assert cache.last(ANN) == ranking(ANN, 9)
    assert cache.last(BOB) is None
    assert cache.triggered(0, 5) == ranking(ANN, 5)
    assert cache.triggered(1, 5) == ranking(CAT, 5)
    assert cache.triggered(1, 9) is None


def test_sessions_are_bounded_and_the_latest_half_is_always_held() -> None:
    cache = RankingCache(sessions=4)
    names = [(0, b"u:%d" % n, n) for n in range(7)]
    for n, name in enumerate(names):
        cache.remember(ranking(name, n))
        assert cache.last(name) == ranking(name, n)
    assert all(cache.last(name) == ranking(name, n) for n, name in enumerate(names) if n >= 5)
    assert cache.last(names[0]) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=60), st.integers(0, 20))
def test_rankings_are_bounded_and_each_partition_holds_its_latest(steps: list[tuple[int, int]], most: int) -> None:
    """Each step is a unit of so many rankings of one partition, at every third offset."""
    cache = RankingCache(rankings=most)
    ends = {0: 0, 1: 0, 2: 0}
    for partition, count in steps:
        for _ in range(count):
            cache.remember(ranking((partition, b"u:ann", 0), ends[partition]))
            ends[partition] += 3
        cache.purge()
    seen = sum(end > 0 for end in ends.values())
    total = 0
    for partition, end in ends.items():
        is_held = [cache.triggered(partition, offset) is not None for offset in range(end)]
        assert not any(is_held[offset] for offset in range(end) if offset % 3)
        every_third = is_held[::3]
        assert all(every_third[max(len(every_third) - most // (2 * seen), 0) :])
        total += sum(every_third)
    assert total <= most


def test_keep_drops_the_rankings_of_other_partitions() -> None:
    cache = RankingCache()
    cache.remember(ranking(ANN, 5))
    cache.remember(ranking(CAT, 6))
    cache.keep({1, 2})
    assert (cache.last(ANN), cache.triggered(0, 5)) == (None, None)
    assert cache.last(CAT) == cache.triggered(1, 6) == ranking(CAT, 6)


def test_repeated_offsets_replace_their_rankings() -> None:
    cache = RankingCache()
    for offset in (5, 6, 7):
        cache.remember(ranking(ANN, offset))
    cache.remember(ranking(BOB, 6))
    assert cache.triggered(0, 5) == ranking(ANN, 5)
    assert cache.triggered(0, 6) == ranking(BOB, 6)
    assert cache.triggered(0, 7) is None


def test_purge_drops_all_rankings_of_a_forgotten_session() -> None:
    cache = RankingCache()
    for offset in (5, 6):
        cache.remember(ranking(ANN, offset))
    cache.remember(ranking(BOB, 7))
    cache.forget(ANN)
    cache.remember(ranking(ANN, 8))
    cache.purge()
    assert [cache.last(ANN), *(cache.triggered(0, offset) for offset in (5, 6, 8))] == [None] * 4
    assert cache.last(BOB) == cache.triggered(0, 7) == ranking(BOB, 7)
    cache.remember(ranking(ANN, 9))
    cache.purge()
    assert cache.last(ANN) == ranking(ANN, 9)
