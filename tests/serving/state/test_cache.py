"""The cache of rankings against simple models of what it must contain."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.state.cache import LatestRankings, NoRanking
from streams.events.records import POPULAR_KEY, RankedItem, Recommendation
from streams.sessions.step import OPEN_SESSIONS


def record(
    owner: str, offset: int, *, partition: int = 0, session_id: str | None = None, at: int | None = None, key: bytes | None = None
) -> Any:
    """A record of the topic whose trigger offset is its own."""
    published = Recommendation(
        recommendation_id=f"events-{partition}-{offset}", user_id=owner, session_id=session_id,
        generated_at=offset if at is None else at, trigger_event_id=f"e{offset}", trigger_offset=offset, model_version=1,
        strategy="hybrid", prefix=["a"], items=[RankedItem("b", 1.0, 1, "markov", "a")], took_ms=1.0,
    )  # fmt: skip
    return SimpleNamespace(partition=partition, offset=offset, key=key or owner.encode(), value=msgspec.json.encode(published))


def removal(owner: str, offset: int, partition: int = 0) -> Any:
    return SimpleNamespace(partition=partition, offset=offset, key=owner.encode(), value=None)


OWNERS = st.sampled_from([f"u{n}" for n in range(8)])
STEPS = st.lists(st.tuples(OWNERS, st.sampled_from([None, "s1", "s2"]), st.booleans()), max_size=60)


@given(STEPS, st.integers(1, 10))
def test_it_keeps_the_latest_rankings_within_its_capacity(steps: list[tuple[str, str | None, bool]], capacity: int) -> None:
    cache, latest = LatestRankings(capacity), dict[str, int]()
    for offset, (owner, session, removed) in enumerate(steps):
        if removed:
            cache.take(removal(owner, offset))
            latest.pop(owner, None)
        else:
            cache.take(record(owner, offset, session_id=session))
            latest.pop(owner, None)
            latest[owner] = offset
        kept = {name: cache.all_of(name) for name in (f"u{n}" for n in range(8))}
        assert cache.rankings == sum(map(len, kept.values())) <= capacity
        assert len(cache) == sum(map(bool, kept.values()))
        present = [name for name in latest if kept[name]]
        assert present == list(latest)[len(latest) - len(present) :], "the least recently updated is evicted first"
        for name in present:
            ranking = cache.get(name)
            assert ranking is not None
            assert ranking.trigger_offset == latest[name]
        assert not any(kept[name] for name in kept if name not in latest), "removed owners have no rankings"


@given(STEPS)
def test_a_compacted_log_rebuilds_the_same_latest_rankings(steps: list[tuple[str, str | None, bool]]) -> None:
    records = [removal(o, n) if gone else record(o, n, session_id=s) for n, (o, s, gone) in enumerate(steps)]
    whole, compacted = LatestRankings(1000), LatestRankings(1000)
    for one in records:
        whole.take(one)
    last = {one.key: one for one in records}
    for one in sorted(last.values(), key=lambda one: one.offset):
        compacted.take(one)
    for owner in (f"u{n}" for n in range(8)):
        left, right = whole.get(owner), compacted.get(owner)
        assert (left and left.value) == (right and right.value)


@given(st.lists(st.tuples(OWNERS, st.booleans()), max_size=40), st.integers(0, 40))
def test_rankings_of_events_before_a_deletion_are_ignored(steps: list[tuple[str, bool]], deleted_at: int) -> None:
    cache = LatestRankings(100)
    cache.forget("u1", {0: deleted_at})
    for offset, (owner, _) in enumerate(steps):
        taken = cache.take(record(owner, offset))
        if owner == "u1" and offset < deleted_at:
            assert taken is None
            assert cache.get("u1") is None
        else:
            assert taken is not None
    assert all(ranking.trigger_offset >= deleted_at for ranking in cache.all_of("u1"))


def test_once_the_workers_have_deleted_older_rankings_are_no_longer_expected() -> None:
    cache = LatestRankings(10)
    cache.take(record("ann", 5))
    cache.forget("ann", {0: 9, 1: 4})
    assert cache.take(record("ann", 8)) is None
    cache.take(removal("ann", 6))
    cache.take(removal("ann", 2, partition=1))
    assert cache.deletions == 0
    assert cache.take(record("ann", 1)) is not None


def test_a_known_session_has_its_ranking_and_any_other_the_latest() -> None:
    cache = LatestRankings(100)
    for offset in range(OPEN_SESSIONS + 2):
        cache.take(record("ann", offset, session_id=f"s{offset}"))
    assert len(cache.all_of("ann")) == OPEN_SESSIONS
    assert cache.get("ann", "s3").trigger_offset == 3  # type: ignore[union-attr]
    assert cache.get("ann", "s0").trigger_offset == OPEN_SESSIONS + 1  # type: ignore[union-attr]
    assert cache.get("ann").session_id == f"s{OPEN_SESSIONS + 1}"  # type: ignore[union-attr]


def test_between_partitions_the_later_ranking_is_the_latest_in_either_order() -> None:
    older, newer = record("ann", 50, partition=1, at=1000), record("ann", 3, partition=2, at=2000)
    for order in ((older, newer), (newer, older)):
        cache = LatestRankings(10)
        for one in order:
            cache.take(one)
        assert cache.get("ann").partition == 2  # type: ignore[union-attr]
    cache.take(removal("ann", 9, partition=2))
    assert cache.get("ann") is None or cache.get("ann").partition == 1  # type: ignore[union-attr]


def test_the_popular_ranking_has_no_owner() -> None:
    cache = LatestRankings(10)
    popular = record("x", 1)
    popular.key = POPULAR_KEY
    assert cache.take(popular) is None
    assert len(cache) == 0
    assert cache.popular is not None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"trigger_offset": "x"}',
        b"\xff",
        b'{"trigger_offset":1,"trigger_event_id":"","generated_at":1}',
        record("ann", 2).value.replace(b'"rank":1', b'"rank":"first"'),
    ],
)
def test_a_record_that_is_not_a_ranking_is_rejected_and_changes_nothing(value: bytes) -> None:
    cache = LatestRankings(10)
    cache.take(record("ann", 1))
    with pytest.raises(NoRanking):
        cache.take(SimpleNamespace(partition=0, offset=2, key=b"ann", value=value))
    assert cache.get("ann").offset == 1  # type: ignore[union-attr]
    with pytest.raises(NoRanking):
        cache.take(SimpleNamespace(partition=0, offset=2, key=b"\xff", value=None))


@given(STEPS, st.integers(1_000, 10_000))
def test_it_keeps_the_latest_rankings_within_its_memory(steps: list[tuple[str, str | None, bool]], most: int) -> None:
    cache, latest = LatestRankings(1000, most), dict[str, None]()
    for offset, (owner, session, removed) in enumerate(steps):
        latest.pop(owner, None)
        if removed:
            cache.take(removal(owner, offset))
        else:
            cache.take(record(owner, offset, session_id=session))
            latest[owner] = None
        kept = {name: cache.all_of(name) for name in latest}
        assert cache.bytes == sum(ranking.size for rankings in kept.values() for ranking in rankings) <= most
        assert cache.rankings == sum(map(len, kept.values()))
        present = [name for name in latest if kept[name]]
        assert present == list(latest)[len(latest) - len(present) :], "the least recently updated is evicted first"


def long_ids(number: int) -> Any:
    """A ranking of the longest ids: 64 characters of four bytes each."""
    text = f"{number:04}" + "\N{BIRD}" * 63
    published = Recommendation(
        recommendation_id="r", user_id=text, session_id=text, generated_at=1, trigger_event_id=text, trigger_offset=number,
        model_version=1, strategy="hybrid", prefix=[text] * 10,
        items=[RankedItem(text, 0.123456789, n, "markov", text) for n in range(1, 101)], took_ms=1.0,
    )  # fmt: skip
    value = bytes(bytearray(msgspec.json.encode(published)))  # a copy: the encoder's own bytes have room to grow
    return SimpleNamespace(partition=0, offset=number, key=text.encode(), value=value)


def test_the_longest_ids_take_no_more_memory_than_any_others() -> None:
    most = 8_000_000
    cache = LatestRankings(100_000, most)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(400):
        cache.take(long_ids(number))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert cache.evicted > 0
    assert 0.9 * most < cache.bytes <= most
    assert taken < 1.1 * most


def test_the_memory_of_ordinary_rankings_is_counted_as_it_is() -> None:
    """The count may be too high by what two rankings share, but hardly too low."""
    cache = LatestRankings(100_000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(2000):
        cache.take(record(f"user-{number}", number, session_id=f"s-{number}"))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.9 * taken < cache.bytes < 1.5 * taken
