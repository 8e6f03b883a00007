"""The contract of `Recommender`, tested for every method."""

from __future__ import annotations

import gc
import math
import random
import weakref

import numpy as np
import pytest
from support.models_streams import ITEMS, learned, recall, ring, steps

from models.baselines.counting import Counting
from models.recommender import Query, Ranking, Recommender
from models.registry import METHODS, build
from models.snapshot import restore, take

STATIC = ("popularity", "decayed_popularity")
BLIND = (*STATIC, "repeats", "backward")
"""Methods that cannot predict the next item of the ring."""


@pytest.fixture(scope="module", params=list(METHODS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trained(method: str) -> Recommender:
    """A model that has learned the ring many times over; tests only rank with it."""
    model = build(method)
    model.warmup()
    learned(model, ring(3000))
    return model


def test_learning_helps(method: str) -> None:
    model, batch = build(method), ring(3000)
    rankings, losses = list[Ranking](), list[float]()
    for step in steps(model, batch):
        rankings += model.test_then_learn(step)
        losses.append(model.loss)
    early, late = recall(rankings[:300], batch.take(range(300)), 10), recall(rankings[2000:], batch.take(range(2000, 3000)), 10)
    if method not in BLIND:
        assert late > max(0.6, early + 0.1)
    if isinstance(model, Counting):
        assert all(map(math.isnan, losses))
    else:
        assert np.mean(losses[-10:]) < np.mean(losses[3:13]) - 0.5
    assert (model.position, model.vocabulary_size) == ({0: 2999}, ITEMS)


def test_a_model_without_references_is_freed_at_once(method: str) -> None:
    """In a cycle, large arrays would wait for the collector, which counts objects and not bytes."""
    model = build(method)
    learned(model, ring(64))
    reference = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert reference() is None
    finally:
        gc.enable()


def test_the_same_seed_gives_the_same_rankings(method: str) -> None:
    batch = ring(400)
    assert learned(build(method, seed=1), batch) == learned(build(method, seed=1), batch)


def test_a_later_transition_changes_no_earlier_ranking(method: str) -> None:
    batch = ring(400)
    whole = learned(build(method), batch)
    assert learned(build(method), batch.take(range(224))) == whole[:224]
    changed = batch.take(range(400))
    changed.item[207] = "i1" if batch.item[207] != "i1" else "i2"
    assert learned(build(method), changed)[:208] == whole[:208], "not even within a step"


def test_an_item_is_in_no_ranking_before_its_first_transition(method: str) -> None:
    batch = ring(400)
    for n in range(0, 400, 5):
        batch.item[n] = f"new {n}"
    for ranking, item in zip(learned(build(method), batch), batch.item, strict=True):
        assert not item.startswith("new") or item not in ranking.items


def test_on_shuffled_items_it_is_no_better_than_a_static_list(method: str) -> None:
    rng, batch = random.Random(3), ring(3000)
    rng.shuffle(batch.item)
    for n in range(len(batch)):
        batch.prefix[n] = [rng.choice(batch.item) for _ in batch.prefix[n]]
    rankings = learned(build(method), batch)
    assert recall(rankings[1000:], batch.take(range(1000, 3000))) < 5 / ITEMS + 0.04


def test_a_restored_model_ranks_and_learns_as_the_original(method: str) -> None:
    batch = ring(800)
    model = build(method, seed=2)
    learned(model, batch.take(range(400)))
    restored = restore(take(method, model))
    assert restored is not model
    assert (restored.steps, restored.position, restored.vocabulary_size) == (model.steps, model.position, model.vocabulary_size)
    queries = [Query([f"i{n}", f"i{n + 3}"]) for n in range(20)] + [Query(())]
    assert restored.rank(queries, 20) == model.rank(queries, 20)
    rest = batch.take(range(400, 800))
    assert learned(restored, rest) == learned(model, rest)
    assert take(method, restored) == take(method, model), "bit for bit"


def test_a_full_vocabulary_evicts_the_items_unseen_for_longest(method: str) -> None:
    model = build(method, max_items=64)
    learned(model, ring(300, items=40))
    later = ring(300, first=300, items=60)
    later.item = [f"later {item}" for item in later.item]
    later.prefix = [[f"later {item}" for item in prefix] for prefix in later.prefix]
    learned(model, later)
    assert model.vocabulary_size <= 64
    assert model.evicted_items >= 36
    (ranking,) = model.rank([Query(["later i3"])], 64)
    assert len(ranking.items) == model.vocabulary_size
    assert sum(item.startswith("later") for item in ranking.items) == len(set(later.item))
    fresh = build(method, max_items=64)
    learned(fresh, later)
    if method in ("markov", "rules", "cooccurrence", "fixed_sum"):
        (clean,) = fresh.rank([Query(["later i3"])], 5)
        assert ranking.scores[:5] == pytest.approx(clean.scores), "the items whose rows were reused left no trace"


def test_transitions_that_were_learned_before_are_skipped(method: str) -> None:
    model = build(method)
    learned(model, ring(64))
    before = model.rank([Query(["i3"])], 10)
    assert learned(model, ring(64)) == []
    assert model.rank([Query(["i3"])], 10) == before


def test_ranking_changes_nothing(method: str) -> None:
    ranking, silent = build(method), build(method)
    for step in steps(ranking, ring(320)):
        assert ranking.test_then_learn(step) == silent.test_then_learn(step)
        ranking.rank(
            [Query(["i1", "i2"], {"i3"}, per_expert=True), Query([]), Query(["i1", "new"]), Query(["new"])] * 3, 30, {"i4"}
        )
    assert take(method, ranking) == take(method, silent)


@pytest.mark.parametrize("k", [1, 10, 58])
def test_a_ranking_has_k_distinct_allowed_items_by_descending_score(trained: Recommender, method: str, k: int) -> None:
    category = frozenset({"i3", "i5", "i8", "i40", "i41", "unknown"})
    queries = [Query([f"i{n}", f"i{n + 1}"], frozenset({f"i{n + 2}"})) for n in range(0, 50, 7)]
    queries += [Query([]), Query(["new"]), Query(["i1"], allowed=category), Query([], allowed=category)]
    queries += [Query(["i40"], frozenset({"i40", "i41"}), allowed=category), Query(["i1"], allowed=frozenset())]
    for query, ranking in zip(queries, trained.rank(queries, k, {"i5", "unknown"}), strict=True):
        out = {"i5"} | query.excluded
        among = {f"i{n}" for n in range(ITEMS)} if query.allowed is None else query.allowed - {"unknown"}
        if method == "hybrid" and query.allowed is None:
            among = among | set(query.prefix)
        assert len(ranking.items) == min(k, len(among - out))
        assert len(set(ranking.items)) == len(ranking.items)
        assert set(ranking.items) <= among - out
        assert ranking.scores == sorted(ranking.scores, reverse=True)
        assert len(ranking.items) == len(ranking.scores) == len(ranking.reasons) == len(ranking.because)


def test_an_item_hidden_in_one_call_is_ranked_in_the_next(trained: Recommender) -> None:
    before = trained.rank([Query(["i3"])], 60)
    trained.rank([Query(["i3"], frozenset({"i9"})), Query(["i3"], allowed=frozenset({"i8"}))], 60, {"i4"})
    assert trained.rank([Query(["i3"])], 60) == before


def test_a_query_without_a_known_item_gets_popular_items(trained: Recommender, method: str) -> None:
    empty, unknown = trained.rank([Query([]), Query(["never seen"])], 5)
    assert empty.strategy == unknown.strategy == "popularity"
    assert unknown.items[method == "hybrid" :] == empty.items[: 4 if method == "hybrid" else 5]
    assert build(method).rank([Query([])], 5)[0].items == []
    assert build(method).rank([Query(["i1"])], 5)[0].items == (["i1"] if method == "hybrid" else [])


def test_a_query_gets_the_same_ranking_alone_and_in_a_batch(trained: Recommender) -> None:
    queries = [Query([f"i{n}", f"i{(n * 7) % ITEMS}"]) for n in range(ITEMS)] * 3
    together = trained.rank(queries, 20)
    for n in (0, 63, 64, 179):
        (alone,) = trained.rank([queries[n]], 20)
        assert together[n].items == alone.items


def test_following_counts_and_does_not_train(method: str) -> None:
    model = build(method)
    model.follow(ring(200))
    assert (model.steps, model.position, model.vocabulary_size) == (0, {0: 199}, len(set(ring(200).item)))
    assert model.rank([Query(["i3"])], 1)[0].items


def test_a_transition_without_weight_trains_nothing_but_its_item_is_known(method: str) -> None:
    model, batch = build(method), ring(64)
    batch.weight = [0.0] * 64
    learned(model, batch)
    assert model.vocabulary_size == len(set(batch.item))
    assert math.isnan(model.loss)


def test_the_arrays_grow_with_the_vocabulary(method: str) -> None:
    model, batch = build(method), ring(0)
    for offset in range(2600):
        batch.append(0, offset, [f"n{offset - 1}"] if offset % 2 else [], f"n{offset}", "view", 1.0, 0)
    learned(model, batch)
    assert model.vocabulary_size == 2600
    (ranking,) = model.rank([Query(["n2500"])], 20)
    if method not in BLIND:
        assert "n2501" in ranking.items
