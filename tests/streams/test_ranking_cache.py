from __future__ import annotations

from streams.ranking_cache import RankingCache, Remembered, SessionName

ANN, BOB, CAT = (0, b"u:ann", 1), (0, b"u:bob", 2), (1, b"u:cat", 3)


def ranking(name: SessionName, offset: int) -> Remembered:
    return Remembered(name, offset, [f"i{offset}"], "hybrid")


def test_a_sessions_last_ranking_and_any_of_late_by_its_trigger() -> None:
    cache = RankingCache()
    cache.remember(ranking(ANN, 5))
    cache.remember(ranking(ANN, 9))
    cache.remember(ranking(CAT, 5))
    assert cache.last(ANN) == ranking(ANN, 9)
    assert cache.last(BOB) is None
    assert cache.triggered(0, 5) == ranking(ANN, 5)
    assert cache.triggered(1, 5) == ranking(CAT, 5)
    assert cache.triggered(1, 9) is None


def test_the_younger_half_is_always_there_and_the_rest_is_forgotten() -> None:
    cache = RankingCache(sessions=4, rankings=4)
    names = [(0, b"u:%d" % n, n) for n in range(7)]
    for n, name in enumerate(names):
        cache.remember(ranking(name, n))
        assert cache.last(name) == ranking(name, n)
    assert all(cache.last(name) == ranking(name, n) for n, name in enumerate(names) if n >= 5)
    assert all(cache.triggered(0, n) for n in (5, 6))
    assert cache.last(names[0]) is None
    assert cache.triggered(0, 0) is None


def test_nothing_stays_of_a_forgotten_session() -> None:
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
