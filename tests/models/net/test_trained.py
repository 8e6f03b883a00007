"""Parameters: what a learner publishes to followers, and how a model rolls back."""

from __future__ import annotations

import numpy as np
import pytest
from support.models_streams import follow, learned, ring

from models.hybrid import Hybrid
from models.net.guard import Guard
from models.recommender import Query
from models.registry import METHODS, build

QUERIES = [Query(["i3", "i4"]), Query(["i9"]), Query([]), Query(["no such", "i7"])]
TRAINED = ("hybrid", "gru_alone", "recency_alone")


@pytest.mark.parametrize("method", METHODS)
def test_a_follower_with_the_learners_parameters_ranks_like_the_learner(method: str) -> None:
    learner, follower = build(method, max_items=256), build(method, max_items=256)
    follow(learner, follower, ring(640, items=60), every=3)
    assert follower.rank(QUERIES, 10) == learner.rank(QUERIES, 10)
    assert (follower.steps, follower.position) == (learner.steps, learner.position)


@pytest.mark.parametrize("method", TRAINED)
def test_changes_has_only_the_rows_that_changed(method: str) -> None:
    model = build(method)
    learned(model, ring(320, items=100))
    everything, mark = model.changes(0)
    assert len(everything.items) == model.vocabulary_size > 80
    assert everything.blocks
    before = model.state()["net.items.embedding"].copy()
    learned(model, ring(16, first=320, items=100))
    changed, _ = model.changes(mark)
    after = model.state()["net.items.embedding"]
    names, different = model.memory.vocabulary.items, np.flatnonzero((before != after).any(1))  # type: ignore[attr-defined]
    assert {names[row] for row in different} <= set(changed.items)
    assert len(different) > 0


def test_parameters_of_unknown_items_are_ignored() -> None:
    learner, follower = build("hybrid"), build("hybrid")
    learned(learner, ring(64, items=40))
    follower.follow(ring(8, items=40))
    follower.apply(learner.changes(0)[0])
    assert follower.vocabulary_size < 40


def test_a_follower_repeats_the_learners_soft_reset_once() -> None:
    learner, follower = Hybrid(), Hybrid()
    learned(learner, ring(320))
    follower.follow(ring(320))
    learner.soft_reset()
    follower.apply(learner.changes(0)[0])
    assert follower.drifts == 1
    assert np.array_equal(follower.memory.rows.weight, learner.memory.rows.weight)
    follower.apply(learner.changes(0)[0])
    assert np.array_equal(follower.memory.rows.weight, learner.memory.rows.weight), "once"


@pytest.mark.parametrize("method", TRAINED)
def test_a_parameter_that_is_not_finite_is_detected_and_rolled_back(method: str) -> None:
    model = build(method)
    learned(model, ring(640, items=30))
    good = {name: array.copy() for name, array in model.state().items()}
    learned(model, ring(64, first=640, items=40))
    position, before = dict(model.position), model.rank(QUERIES, 10)
    model.net.items.embedding[5] = np.nan  # type: ignore[attr-defined]
    learned(model, ring(64, first=704, items=30))
    assert model.diverged
    assert model.skipped_steps
    model.rollback(good)
    assert not model.diverged
    assert position != dict(model.position)
    assert all(source >= position[partition] for partition, source in model.position.items())
    state = model.state()
    assert all(np.isfinite(array).all() for name, array in state.items() if "loss" not in name)
    assert np.array_equal(state["net.items.embedding"][:30], good["net.items.embedding"])
    assert len(model.changes(0)[0].items) == model.vocabulary_size > 30, "followers get every row"
    learned(model, ring(64, first=768, items=30))
    assert not model.diverged
    assert [len(ranking.items) for ranking in model.rank(QUERIES, 10)] == [len(ranking.items) for ranking in before]


def test_a_learning_rate_a_hundred_times_too_large_makes_the_model_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Hybrid()
    learned(model, ring(960))
    assert not model.diverged

    def hot(gradient: np.ndarray) -> None:
        model.gate.optimiser.weights -= 0.3 * np.sign(gradient).astype(np.float32)

    monkeypatch.setattr(model.gate.optimiser, "step", hot)
    learned(model, ring(960, first=960))
    assert model.diverged


def test_the_guard_on_losses_chosen_by_hand() -> None:
    guard = Guard()
    for _ in range(500):
        guard.step(3.0, 1.0, 320)
    assert not guard.diverged
    guard.skip(np.zeros(3, np.float32))
    assert not guard.diverged, "one bad step is only skipped"
    assert not guard.healthy, "but no snapshot is taken right after it"
    guard.step(3.0, 1.0, 320)
    assert guard.healthy
    for _ in range(60):
        guard.step(45.0, 5.0, 320)
    assert guard.diverged, "9 nats per example, where a uniform guess has 5.8"
    assert not guard.healthy
    restored = Guard()
    restored.restore(guard.state())
    assert restored.diverged
    guard.reset()
    for _ in range(500):
        guard.step(6.2, 1.0, 320)
    assert guard.healthy, "a stream that cannot be predicted is healthy too"
    guard.reset()
    assert not guard.diverged
    guard.skip(np.array([np.inf], np.float32))
    assert guard.diverged
    guard.skip(np.zeros(3, np.float32))
    guard.step(3.0, 1.0, 320)
    assert guard.diverged, "a parameter that was not finite has spoiled others, even if it is finite again"
    guard.reset()
    assert not guard.diverged


def test_parameters_of_another_shape_are_refused_and_change_nothing() -> None:
    model = build("hybrid")
    learned(model, ring(64))
    parameters, _ = model.changes(0)
    before = model.rank(QUERIES, 10)
    short = {name: block[:-1] for name, block in parameters.blocks.items()}
    fewer_columns, fewer_rows = parameters.rows[:, :-1], parameters.rows[:-1]
    for bad in (
        parameters._replace(blocks=short),
        parameters._replace(rows=fewer_columns),
        parameters._replace(rows=fewer_rows),
    ):
        with pytest.raises(ValueError, match="this model needs"):
            model.apply(bad._replace(drifts=1))
    assert (model.rank(QUERIES, 10), model.drifts) == (before, 0)
    model.apply(parameters._replace(items=[], rows=np.zeros((0, 0), np.float32)))
    assert model.rank(QUERIES, 10) == before
