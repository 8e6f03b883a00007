"""The contract of a model, on the online GRU: it learns, repeats, forgets nothing it should know, and leaks nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from models.online_gru import LAST, Encoder, OnlineGRU, _adagrad
from models.recommender import Query, Ranking
from models.transition import Transitions


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    OnlineGRU().warmup()


def chains(count: int, seed: int = 0, items: int = 30) -> Transitions:
    """Sessions in which each item is followed by the next one, mostly."""
    rng, batch = random.Random(seed), Transitions()
    at, prefix = 0, [0]
    for offset in range(count):
        item = (at + 1) % items if rng.random() < 0.9 else rng.randrange(items)
        batch.append(0, offset, [f"i{n}" for n in prefix[-20:]], f"i{item}", "view", 1.0, offset)
        prefix, at = ([*prefix, item], item) if rng.random() < 0.8 else ([item], item)
    return batch


def learn(model: OnlineGRU, batch: Transitions) -> tuple[list[Ranking], list[float]]:
    rankings, losses = [], []
    for begin in range(0, len(batch), model.step_size):
        rankings += model.learn(batch.take(range(begin, min(begin + model.step_size, len(batch)))))
        losses.append(model.loss)
    return rankings, losses


def recall(batch: Transitions, rankings: list[Ranking], k: int) -> float:
    return sum(item in ranking.items[:k] for item, ranking in zip(batch.item, rankings, strict=True)) / len(batch)


def test_learning_lowers_the_loss_and_finds_what_follows() -> None:
    batch = chains(1200)
    rankings, losses = learn(OnlineGRU(), batch)
    assert sum(losses[-10:]) < 0.6 * sum(losses[1:11])
    assert recall(batch.take(range(800, 1200)), rankings[800:], 3) > 0.7


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    batch = chains(300)
    first, again, other = (learn(OnlineGRU(seed), batch)[0] for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_what_was_applied_is_skipped() -> None:
    model, batch = OnlineGRU(), chains(16)
    assert len(model.learn(batch)) == 16
    state = model.rank([Query(["i3"])], 10)
    assert model.learn(batch) == []
    assert (model.steps, model.position, model.rank([Query(["i3"])], 10)) == (1, {0: 15}, state)


def test_a_ranking_holds_k_distinct_allowed_items_by_descending_score() -> None:
    model = OnlineGRU()
    learn(model, chains(300))
    (ranking,) = model.rank([Query(["i3", "i4"], excluded={"i5"})], 10, hidden={"i6", "unknown"})
    assert len(set(ranking.items)) == 10
    assert not {"i5", "i6"} & set(ranking.items)
    assert ranking.scores == sorted(ranking.scores, reverse=True)
    (rest,) = model.rank([Query(["i3"])], 1000)
    assert len(set(rest.items)) == model.vocabulary_size


def test_a_batch_ranks_as_its_queries_one_by_one() -> None:
    model = OnlineGRU()
    learn(model, chains(300))
    queries = [Query([f"i{n}" for n in range(begin, begin + length)]) for begin in range(20) for length in range(8)]
    together = model.rank(queries, 5)
    alone = [model.rank([query], 5)[0] for query in queries]
    for one, other in zip(together, alone, strict=True):
        assert one.strategy == other.strategy
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_nobody_and_the_unknown_get_what_is_popular() -> None:
    model = OnlineGRU()
    assert model.rank([Query([])], 5)[0].items == []
    batch = Transitions()
    for offset, item in enumerate("aabbbc"):
        batch.append(0, offset, [], item, "view", 1.0, 0)
    model.learn(batch)
    for prefix in ([], ["never seen"]):
        (ranking,) = model.rank([Query(prefix)], 2)
        assert (ranking.items, ranking.strategy) == (["b", "a"], "popularity")
    assert model.rank([Query([])], 2, hidden={"b"})[0].items == ["a", "c"]


def test_ranking_changes_nothing() -> None:
    batch = chains(320)
    plain, asked = OnlineGRU(), OnlineGRU()
    learn(plain, batch.take(range(160)))
    learn(asked, batch.take(range(160)))
    asked.rank([Query(["i1", "i2"])] * 100, 20)
    rest = batch.take(range(160, 320))
    assert learn(plain, rest)[0] == learn(asked, rest)[0]


def test_predictions_do_not_depend_on_what_comes_after_even_within_a_batch() -> None:
    batch = chains(64)
    whole = learn(OnlineGRU(), batch)[0]
    for cut in (1, 15, 17, 40):
        begun = learn(OnlineGRU(), batch.take(range(cut)))[0]
        for one, other in zip(begun, whole[:cut], strict=True):
            assert one.items == other.items


def test_shuffled_items_are_predicted_no_better_than_by_a_static_list() -> None:
    batch, rng = chains(2000, items=200), random.Random(1)
    shuffled = [f"i{min(int(rng.expovariate(0.03)), 199)}" for _ in batch.item]
    batch.item = shuffled
    batch.prefix = [[f"i{min(int(rng.expovariate(0.03)), 199)}" for _ in prefix] for prefix in batch.prefix]
    best = sorted(set(shuffled), key=shuffled.count, reverse=True)[:20]
    static = sum(item in best for item in shuffled) / len(shuffled)
    assert recall(batch, learn(OnlineGRU(), batch)[0], 20) < static


def test_a_weight_of_zero_counts_and_trains_nothing() -> None:
    model, batch = OnlineGRU(), chains(16)
    batch.weight = [0.0] * 16
    model.learn(batch)
    assert model.steps == 0
    assert model.vocabulary_size == len(set(batch.item))


def test_a_step_that_is_not_finite_is_skipped() -> None:
    model, batch = OnlineGRU(), chains(48)
    model.learn(batch.take(range(16)))
    before = model.rank([Query(["i1"])], 10)
    spoiled = batch.take(range(16, 32))
    spoiled.weight = [float("inf")] * 16
    model.learn(spoiled)
    assert (model.skipped_steps, model.steps) == (1, 1)
    assert model.rank([Query(["i1"])], 10)[0].scores[0] == pytest.approx(before[0].scores[0])


def test_the_encoder_is_the_formula() -> None:
    torch.manual_seed(0)
    encoder = Encoder()
    nn.init.normal_(encoder.project.weight)
    embedded = torch.randn(1, LAST, 64)
    for length in range(1, LAST + 1):
        rows = embedded.clone()
        rows[:, length:] = 0
        hidden = encoder.gru(rows[:, :length])[0][:, -1]
        recency = sum(encoder.recency[r] * rows[:, length - 1 - r] for r in range(length))
        expected = encoder.project(hidden) + recency
        assert torch.allclose(encoder(rows, torch.tensor([length])), expected, atol=1e-5)


def test_row_wise_adagrad_moves_only_its_rows_by_the_rate_at_first() -> None:
    parameters, seen = torch.zeros(3, 2), torch.zeros(3)
    _adagrad(parameters, seen, torch.tensor([1]), torch.tensor([[2.0, 2.0]]))
    assert torch.allclose(parameters, torch.tensor([[0.0, 0.0], [-0.1, -0.1], [0.0, 0.0]]), atol=1e-6)
    assert seen.tolist() == [0.0, 4.0, 0.0]


def test_real_clicks_are_predicted(data: Path) -> None:
    """The first 12,000 clicks of rsc15; the whole of it is `ouzel demo`'s and, later, `ouzel evaluate`'s to measure."""
    rows = []
    for path in sorted((data / "rsc15").glob("*.txt")):
        for line in path.read_text().splitlines()[1:]:
            session, item, at = line.split("\t")
            rows.append((float(at), session, item))
    batch, prefixes = Transitions(), {}
    for offset, (at, session, item) in enumerate(sorted(rows)[:12_000]):
        prefix = prefixes.setdefault(session, [])
        batch.append(0, offset, prefix[-20:], item, "view", 1.0, int(at * 1000))
        prefix.append(item)
    rankings = learn(OnlineGRU(), batch)[0]
    tests = [(item, r) for item, prefix, r in zip(batch.item, batch.prefix, rankings, strict=True) if prefix]
    assert sum(item in ranking.items for item, ranking in tests) / len(tests) > 0.54
