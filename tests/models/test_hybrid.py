"""Behaviour of the hybrid alone; test_contract.py has what it shares with every method."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from support.models_streams import ITEMS, learned, recall, ring, steps

from models.drift import PageHinkley
from models.experts.rows import COOCCURRENCE, MARKOV, evict_items, learn_item, new_rows
from models.hybrid import Hybrid
from models.kernels.topk import ABSENT, new_top, top_scores
from models.recommender import Query
from models.snapshot import restore, take
from models.transition import Transitions


@pytest.fixture(scope="module")
def trained() -> Hybrid:
    """A model that has learned the ring many times over; tests only rank with it."""
    model = Hybrid(0)
    learned(model, ring(3000))
    return model


@pytest.mark.parametrize(
    "model",
    [Hybrid(0, "recency", "fast"), Hybrid(0, frozen=True), Hybrid(0, exact_items=20)],
    ids=["fast", "frozen", "index"],
)
def test_every_variant_learns_to_predict_the_next_item(model: Hybrid) -> None:
    batch = ring(3000)
    rankings = learned(model, batch)
    assert recall(rankings[:300], batch.take(range(300))) < 0.6
    assert recall(rankings[2000:], batch.take(range(2000, 3000))) > 0.7


def test_learn_and_test_then_learn_take_the_same_step() -> None:
    tested, silent = Hybrid(0), Hybrid(0)
    for step in steps(tested, ring(320)):
        tested.test_then_learn(step)
        silent.learn(step)
    assert tested.rank([Query(["i3"])], 20) == silent.rank([Query(["i3"])], 20)


def test_another_seed_gives_other_rankings() -> None:
    assert learned(Hybrid(1), ring(400)) != learned(Hybrid(2), ring(400))


def test_a_reason_names_an_item_of_the_prefix(trained: Hybrid) -> None:
    (ranking,) = trained.rank([Query(["i20", "i30"])], 40)
    at = ranking.items.index("i31")
    assert (ranking.reasons[at], ranking.because[at]) == ("markov", "i30")
    named = set(zip(ranking.reasons, [because is None for because in ranking.because], strict=True))
    assert all((reason == "gru") == nothing for reason, nothing in named)
    assert set(ranking.because) <= {None, "i20", "i30"}


def test_an_item_whose_first_transition_is_not_learned_yet_is_ranked_as_if_it_were(trained: Hybrid) -> None:
    """The ranking for an event comes before its transition is learned."""
    (before,) = trained.rank([Query(["i3", "i4", "new"])], 20)
    model, batch = restore(take("hybrid", trained)), Transitions()
    batch.append(0, 3000, ["i3", "i4"], "new", "view", 1.0, 0)
    model.follow(batch)
    (after,) = model.rank([Query(["i3", "i4", "new"])], 20)
    assert "new" in before.items
    assert len(set(before.items[:10]) & set(after.items[:10])) >= 8
    assert (before.reasons[before.items.index("new")], before.because[before.items.index("new")]) == ("repeat", "new")


def test_a_query_of_only_unknown_items_gets_these_before_popular_ones(trained: Hybrid) -> None:
    popular, own = trained.rank([Query([]), Query(["new", "newer", "new"])], 4)
    assert own.items == ["new", "newer", *popular.items[:2]]
    assert own.because == ["new", "newer", None, None]
    assert own.reasons[:2] == ["repeat"] * 2
    assert own.scores == sorted(own.scores, reverse=True)


def test_an_item_that_is_not_learned_yet_is_ranked_for_its_own_query_only_and_can_be_excluded(trained: Hybrid) -> None:
    queries = [
        Query(["i3", "new"]), Query(["i3"]), Query(["i3", "new"], frozenset({"new"})), Query(["i3", "other"]),
        Query(["i3", "new"], allowed=frozenset({"i9", "new"})), Query(["i3", "new"], allowed=frozenset({"i9"})),
        Query(["new"], frozenset({"new"})), Query(["i3", "new", "i5", "new"]),
    ]  # fmt: skip
    together = trained.rank(queries, 70)
    for query, ranking in zip(queries, together, strict=True):
        expected = "new" in query.prefix and "new" not in query.excluded and (query.allowed is None or "new" in query.allowed)
        assert ("new" in ranking.items) == expected
        assert ("other" in ranking.items) == ("other" in query.prefix)
        (alone,) = trained.rank([query], 70)
        assert alone.items[:20] == ranking.items[:20]
    assert not any("new" in ranking.items for ranking in trained.rank(queries, 70, {"new"}))
    assert trained.vocabulary_size == ITEMS


def test_a_batch_can_have_more_unknown_items_than_there_are_free_rows(trained: Hybrid) -> None:
    before = trained.rank([Query(["i3"])], 60)
    queries = [Query(["i3", *(f"new {n} {m}" for m in range(8))]) for n in range(200)]
    assert trained.memory.capacity < 1600
    for n, ranking in enumerate(trained.rank(queries, 10)):
        assert all(item.startswith(("i", f"new {n} ")) for item in ranking.items)
    assert trained.rank([Query(["i3"])], 60) == before


def test_an_event_type_with_more_weight_counts_more() -> None:
    """Of two items that follow equally often, the one that was bought ranks first."""
    model, batch, rng = Hybrid(0), Transitions(), random.Random(0)
    for offset in range(0, 1200, 2):
        bought = rng.random() < 0.5
        batch.append(0, offset, [], "start", "view", 1.0, 0)
        item, kind, weight = ("bought", "purchase", 5.0) if bought else ("viewed", "view", 1.0)
        batch.append(0, offset + 1, ["start"], item, kind, weight, 0)
    learned(model, batch)
    (ranking,) = model.rank([Query(["start"])], 2)
    assert ranking.items == ["bought", "viewed"]


@pytest.mark.slow
def test_after_a_sudden_change_one_soft_reset_speeds_up_recovery() -> None:
    items = 2 * ITEMS
    before, after = ring(4000, items=items), ring(3000, seed=1, first=4000, items=items)
    order = list(range(items))
    random.Random(5).shuffle(order)
    name = {f"i{n}": f"i{order[n]}" for n in range(items)}
    after.item = [name[item] for item in after.item]
    after.prefix = [[name[item] for item in prefix] for prefix in after.prefix]
    model, stubborn = Hybrid(0), Hybrid(0)
    stubborn.drift_test.threshold = 1e9
    for each in (model, stubborn):
        learned(each, before)
        assert each.drifts == 0
    half = after.take(range(1500))
    with_reset, without = recall(learned(model, half), half, 20), recall(learned(stubborn, half), half, 20)
    assert (model.drifts, stubborn.drifts) == (1, 0)
    assert with_reset > without


def test_page_hinkley_raises_an_alarm_only_after_a_fall() -> None:
    rng = random.Random(0)
    quiet = PageHinkley()
    assert not any(quiet.add(rng.random() < 0.65) for _ in range(50_000))
    assert not any(quiet.add(rng.random() < 0.9) for _ in range(5_000)), "a rise raises no alarm"
    alarms = [n for n in range(1000) if quiet.add(rng.random() < 0.2)]
    assert alarms
    assert alarms[0] < 300


def test_a_step_whose_loss_is_not_finite_is_skipped_and_counted() -> None:
    model = Hybrid(0)
    learned(model, ring(320))
    model.net.items.bias[:] = np.nan
    weights = model.net.encoder.state()["gru.weights"].copy()
    learned(model, ring(64, first=320))
    assert model.net.skipped == 2
    np.testing.assert_array_equal(model.net.encoder.state()["gru.weights"], weights)


def test_a_ranking_depends_on_the_last_ten_items_and_the_session_length(trained: Hybrid) -> None:
    long = [f"i{n}" for n in range(30)]
    (all_of_it,) = trained.rank([Query(long, length=30)], 20)
    (its_end,) = trained.rank([Query(long[-10:], length=30)], 20)
    (short,) = trained.rank([Query(long[-10:], length=10)], 20)
    assert all_of_it == its_end
    assert its_end.scores != short.scores


def test_the_top_scores_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    for known in (0, 1, 15, 16, 17, 300, 1000):
        logits = rng.integers(-50, 50, (3, 1024)).astype(np.float32) / 10  # [3, 1024]
        logits[:, 5] = ABSENT
        bias, blocked = rng.normal(0, 1, 1024).astype(np.float32), (rng.random(1024) < 0.3).astype(np.uint8)
        expected = logits + bias
        top = new_top(3, 40)
        top_scores(logits, bias, known, blocked, 40, top, np.zeros(65, np.float32), np.zeros(1040, np.int64))
        for q in range(3):
            allowed = np.flatnonzero(blocked[:known] == 0)
            allowed = allowed[allowed != 5]
            best = allowed[np.lexsort((allowed, -expected[q, allowed]))][:40]
            assert top.items[q, : top.counts[q]].tolist() == best.tolist()
            if known:
                assert top.log_norm[q] == pytest.approx(float(np.log(np.exp(expected[q, :known]).sum())), rel=1e-4)


def test_a_full_row_drops_its_smallest_slot_and_eviction_leaves_no_trace() -> None:
    rows = new_rows(8, 2)
    for item, times in ((1, 3), (2, 1), (3, 1)):
        for _ in range(times):
            learn_item(rows, np.array([0, -1], np.int32), item, np.float32(1))
    assert sorted(rows.item[0].tolist()) == [1, 3]
    assert rows.total[0, MARKOV] == rows.weight[0, :, MARKOV].sum() == 4
    evicted = np.zeros(8, np.bool_)
    evicted[1] = True
    evict_items(rows, evicted)
    assert rows.item[0, : rows.used[0]].tolist() == [3]
    assert rows.total[0, COOCCURRENCE] == 1
    assert rows.used[1] == 0


SIGNATURES = """
import sys
from models.hybrid import Hybrid
from models.recommender import Query
from models.snapshot import restore, take
from support.models_streams import learned, ring

def compiled():
    kernels = {id(o): o for name, m in list(sys.modules.items()) if name.startswith("models.") for o in vars(m).values()}
    return {(o.py_func.__module__, o.py_func.__name__, str(s)) for o in kernels.values() for s in getattr(o, "signatures", ())}

encoder, profile = sys.argv[1:]
model = Hybrid(0, encoder, profile, max_items=600)
model.warmup()
before = compiled()
assert before
many = ring(2000, items=1500)
learned(model, many.take(range(1000)))
large = Hybrid(0, encoder, profile, exact_items=20, max_items=600)
learned(large, many)
large = restore(take("hybrid", large))
model = restore(take("hybrid", model))
model.follow(many.take(range(1000, 1500)))
learned(model, many.take(range(1500, 2000)))
assert model.evicted_items and model.vocabulary_size <= 600
for each in (model, large):
    queries = [Query(["i1", "i2"], frozenset({"i3"})), Query(()), Query(["i4"], allowed=frozenset({"i5"}))]
    each.rank(queries, 50, {"i6"})
    each.rank(queries * 60, 100)
    each.soft_reset()
model.gate.reliance()
assert compiled() == before, compiled() - before
"""


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "profile"), [("gru", "balanced"), ("recency", "fast")])
def test_nothing_is_compiled_after_warmup(encoder: str, profile: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", SIGNATURES, encoder, profile],
        env={"PYTHONPATH": ".:tests", "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
