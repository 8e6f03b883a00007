"""The hybrid on a catalogue beyond its exact items: as the exact one, only through the index."""

from __future__ import annotations

import numpy as np
import pytest
from support.models_streams import follow, learned, recall, ring

from models.gate.batch import NONE_BLOCKED
from models.hybrid import Hybrid
from models.recommender import Query
from models.snapshot import encode, freeze, restore, take
from models.transition import Transitions

EXACT = 20
ITEMS = 900


def queries() -> list[Query]:
    return [Query([f"i{n}", f"i{(n * 7) % ITEMS}"]) for n in range(40)]


@pytest.fixture(scope="module")
def indexed() -> Hybrid:
    """A model that has learned the ring through the index; tests only rank with it."""
    model = Hybrid(0, exact_items=EXACT)
    model.warmup()
    learned(model, ring(3000))
    assert model.scoring.index.built
    return model


def test_it_learns_to_predict_as_well_as_the_exact_model() -> None:
    batch = ring(3000)
    exact, approximate = learned(Hybrid(0), batch), learned(Hybrid(0, exact_items=EXACT), batch)
    last = batch.take(range(2000, 3000))
    assert abs(recall(approximate[2000:], last) - recall(exact[2000:], last)) < 0.03


def test_up_to_the_exact_items_no_index_is_built() -> None:
    model, batch = Hybrid(0, exact_items=60), ring(1000)
    learned(model, batch)
    assert not model.scoring.index.built
    (_,) = model.rank([Query(["i3", *(f"new {n}" for n in range(8))])], 10)
    assert not model.scoring.index.built, "items that are ranked before they are learned do not count"
    assert len(take("hybrid", model)) == len(take("hybrid", restore(take("hybrid", model))))


@pytest.mark.parametrize(("encoder", "profile"), [("gru", "balanced"), ("recency", "fast")])
def test_a_restored_model_learns_ranks_and_evicts_bit_for_bit_as_the_original(encoder: str, profile: str) -> None:
    model, batch = Hybrid(0, encoder, profile, exact_items=EXACT, max_items=700), ring(3200, items=ITEMS)
    learned(model, batch.take(range(1600)))
    restored = restore(take("hybrid", model))
    assert restored.rank(queries(), 20) == model.rank(queries(), 20)
    rest = batch.take(range(1600, 3200))
    assert learned(restored, rest) == learned(model, rest)
    assert model.evicted_items > 0
    assert take("hybrid", restored) == take("hybrid", model)


def test_the_same_transitions_give_the_same_model() -> None:
    batch = ring(1600, items=ITEMS)
    models = [Hybrid(0, exact_items=EXACT) for _ in range(2)]
    for model in models:
        learned(model, batch)
    assert take("hybrid", models[0]) == take("hybrid", models[1])


def test_a_large_catalogue_in_a_snapshot_without_an_index_gets_one() -> None:
    model = Hybrid(0, exact_items=EXACT)
    learned(model, ring(1600, items=ITEMS))
    frozen = freeze("hybrid", model)
    arrays = {name: array for name, array in frozen.arrays.items() if not name.startswith("index.")}
    arrays["shortlist"] = np.arange(10, dtype=np.int32)
    restored = restore(encode(frozen._replace(arrays=arrays)))
    assert isinstance(restored, Hybrid)
    assert restored.scoring.index.built
    for ranking, expected in zip(restored.rank(queries(), 20), model.rank(queries(), 20), strict=True):
        assert len(set(ranking.items) & set(expected.items)) >= 19


@pytest.mark.parametrize("rows", [{"order": -1}, {"order": 10_000}, {"order": 0}, {"sizes": 600}, {"sizes": -1}, {"half": 2e30}])
def test_a_snapshot_whose_lists_are_not_those_of_its_items_is_refused(rows: dict[str, float]) -> None:
    model = Hybrid(0, exact_items=EXACT)
    learned(model, ring(160))
    state = {name: array.copy() for name, array in model.state().items()}
    for name, value in rows.items():
        state[f"index.{name}"][0 if name != "order" else 5] = value
    if rows == {"order": 0}:
        state["index.order"][:2] = 0
    with pytest.raises(ValueError, match=r"index|values from"):
        Hybrid(0, exact_items=EXACT).restore(state)


def test_a_follower_keeps_its_index_up_to_date() -> None:
    learner, follower = Hybrid(0, exact_items=EXACT), Hybrid(0, exact_items=EXACT)
    follow(learner, follower, ring(2400, items=ITEMS), every=5)
    assert follower.scoring.index.built
    for ranking, expected in zip(follower.rank(queries(), 20), learner.rank(queries(), 20), strict=True):
        assert ranking.items == expected.items
        np.testing.assert_allclose(ranking.scores, expected.scores, atol=0.05)
    restored = restore(take("hybrid", follower))
    assert restored.rank(queries(), 20) == follower.rank(queries(), 20)


def test_after_a_rollback_the_index_has_the_earlier_vectors() -> None:
    model, batch = Hybrid(0, exact_items=EXACT), ring(1600, items=ITEMS)
    learned(model, batch.take(range(800)))
    good = {name: array.copy() for name, array in model.state().items()}
    learned(model, batch.take(range(800, 1600)))
    model.net.items.embedding[:] = np.nan
    model.rollback(good)
    assert take("hybrid", restore(take("hybrid", model))) == take("hybrid", model)
    for ranking in model.rank(queries(), 20):
        assert len(ranking.items) == 20
        assert np.isfinite(ranking.scores).all()


def test_of_allowed_items_the_best_are_ranked_however_few_the_index_would_find(indexed: Hybrid) -> None:
    allowed = frozenset({"i40", "i41", "i7"})
    (ranking,) = indexed.rank([Query(["i3"], allowed=allowed)], 20)
    assert set(ranking.items) == allowed
    (hidden,) = indexed.rank([Query(["i3"], allowed=allowed)], 20, {"i40"})
    assert set(hidden.items) == {"i41", "i7"}


def test_an_item_whose_first_transition_is_not_learned_yet_is_ranked_for_its_query_alone(indexed: Hybrid) -> None:
    before = take("hybrid", indexed)
    first, second = indexed.rank([Query(["i3", "i4", "new"]), Query(["i3"])], 60)
    assert "new" in first.items[:10]
    assert "new" not in second.items
    assert take("hybrid", indexed) == before, "a ranking changes nothing"


def test_a_new_item_of_a_batch_is_found_only_by_later_transitions() -> None:
    model, batch = Hybrid(0, exact_items=EXACT), Transitions()
    learned(model, ring(640))
    for n, item in enumerate(("i4", "new", "i5", "i6")):
        batch.append(0, 640 + n, ["i3"], item, "view", 1.0, 0)
    rankings = model.test_then_learn(batch, 60)
    assert ["new" in ranking.items for ranking in rankings] == [False, False, True, True]


def test_with_many_items_the_best_of_the_net_are_found() -> None:
    model, batch = Hybrid(0, "recency", "fast", exact_items=500), ring(6000, items=3000)
    learned(model, batch)
    net, height, shares = model.net, model.memory.vocabulary.height, []
    columns = model.memory.look_up([Query(batch.prefix[n][-3:]) for n in range(5000, 5200) if batch.prefix[n]])
    for window in columns.window:
        vector = net.queries(window[None])[0].copy()
        scores = net.items.embedding[:height] @ vector + net.items.bias[:height]
        top = model.scoring.score(window[None], [], NONE_BLOCKED, 40)
        shares.append(len(set(top.top[0, : top.counts[0]].tolist()) & set(np.argsort(-scores)[:40].tolist())) / 40)
    assert np.mean(shares) >= 0.97
