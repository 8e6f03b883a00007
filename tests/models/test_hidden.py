"""No ranking has an item that is hidden, excluded or not allowed, whatever grows meanwhile."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models_streams import learned, ring

import models.experts.memory
from models.recommender import Query
from models.registry import build
from models.snapshot import restore, take

ONE_OF_EACH_KIND = ("hybrid", "hybrid with an index", "gru_alone", "fixed_sum", "vmis_knn", "popularity")
KNOWN = 15
FIRST_CAPACITY = 16
"""One more than the items that are known, so that two unknown ones in a call exceed it."""

items = st.sampled_from([f"i{n}" for n in range(KNOWN)] + [f"new{n}" for n in range(40)])
some = st.frozensets(items, max_size=12)
queries = st.builds(
    lambda prefix, excluded, allowed: Query(prefix, excluded, allowed=allowed),
    st.lists(items, max_size=12),
    some,
    st.none() | some,
)


@cache
def learnt(method: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.experts.memory, "FIRST_CAPACITY", FIRST_CAPACITY)
        name = method.split(maxsplit=1)[0]
        model = build(name, exact_items=5) if "index" in method else build(name)
        learned(model, ring(400, items=KNOWN))
        return take(name, model)


@pytest.mark.parametrize("method", ONE_OF_EACH_KIND)
@settings(max_examples=25)
@given(batch=st.lists(queries, min_size=1, max_size=6), hidden=some, k=st.integers(1, 80))
def test_what_may_not_be_ranked_is_not(method: str, batch: list[Query], hidden: frozenset[str], k: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.experts.memory, "FIRST_CAPACITY", FIRST_CAPACITY)
        model = restore(learnt(method))
    before = take(method.split(maxsplit=1)[0], model)
    for query, ranking in zip(batch, model.rank(batch, k, hidden), strict=True):
        assert not hidden & set(ranking.items)
        assert not query.excluded & set(ranking.items)
        assert query.allowed is None or set(ranking.items) <= query.allowed
        assert len(ranking.items) == len(set(ranking.items)) <= k
    assert take(method.split(maxsplit=1)[0], model) == before, "a ranking changes nothing"


def test_a_hidden_item_is_left_out_when_many_unknown_items_arrive_at_once() -> None:
    model = build("hybrid")
    learned(model, ring(3000, items=1000))
    cold_start = [Query([f"i{n}", *(f"new {n} {m}" for m in range(9))]) for n in range(600)]
    first = restore(take("hybrid", model)).rank(cold_start, 20)[0]
    shown = next(item for item in first.items if item.startswith("i"))
    for ranking in model.rank(cold_start, 20, {shown}):
        assert shown not in ranking.items
