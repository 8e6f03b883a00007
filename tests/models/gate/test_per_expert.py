"""Each expert of the mixture, by itself, ranks like the baseline of the same name."""

from __future__ import annotations

import numpy as np
import pytest
from support.models_streams import learned, ring

from models.experts.memory import Memory
from models.gate.per_expert import PER_EXPERT
from models.hybrid import Hybrid
from models.recommender import Query, Ranking
from models.registry import build
from models.transition import Transitions

QUERIES = [Query([f"i{n}", f"i{(3 * n) % 60}", f"i{n + 1}"], frozenset({f"i{n + 2}"}), per_expert=True) for n in range(0, 57, 8)]
HIDDEN = {"i3", "i20"}


@pytest.fixture(scope="module")
def hybrid() -> Hybrid:
    """A model that has learned the ring; tests only rank with it."""
    model = Hybrid()
    model.warmup()
    learned(model, ring(1200))
    return model


@pytest.fixture(scope="module")
def rankings(hybrid: Hybrid) -> list[Ranking]:
    """The rankings of all queries in one batch, longer than those of the experts."""
    return hybrid.rank(QUERIES, 50, HIDDEN)


@pytest.mark.parametrize("expert", PER_EXPERT)
def test_each_expert_ranks_as_its_baseline(expert: str, rankings: list[Ranking]) -> None:
    baseline = build(expert)
    learned(baseline, ring(1200))
    for ranking, alone in zip(rankings, baseline.rank(QUERIES, 20, HIDDEN), strict=True):
        assert ranking.per_expert is not None
        named = [item for item, score in zip(alone.items, alone.scores, strict=True) if score > 0]
        assert ranking.per_expert[expert] == named
        assert named


def test_the_encoder_ranks_by_its_own_scores(hybrid: Hybrid, rankings: list[Ranking]) -> None:
    columns, vocabulary, height = hybrid.memory.look_up(QUERIES), hybrid.memory.vocabulary, hybrid.memory.vocabulary.height
    scores = np.zeros((len(QUERIES), height), np.float32)
    hybrid.net.logits(hybrid.net.queries(columns.window), height, scores)
    scores += hybrid.net.items.bias[:height]
    for query, ranking, of_query in zip(QUERIES, rankings, scores, strict=True):
        assert ranking.per_expert is not None
        order = [vocabulary.name(row) for row in np.argsort(-of_query, kind="stable").tolist()]
        assert ranking.per_expert["gru"] == [item for item in order if item not in query.excluded | HIDDEN][:20]


def test_a_query_that_does_not_compare_experts_gets_the_same_ranking(hybrid: Hybrid, rankings: list[Ranking]) -> None:
    plain = hybrid.rank([query._replace(per_expert=False) for query in QUERIES], 50, HIDDEN)
    assert [ranking.items for ranking in plain] == [ranking.items for ranking in rankings]
    assert {ranking.per_expert for ranking in plain} == {None}
    mixed = hybrid.rank([QUERIES[0]._replace(per_expert=False), QUERIES[1], Query((), per_expert=True)], 50, HIDDEN)
    assert [ranking.per_expert for ranking in mixed] == [None, rankings[1].per_expert, None]


def test_the_head_is_the_fewest_items_with_the_share_of_events() -> None:
    memory, batch = Memory(8), Transitions()
    for offset, item in enumerate("a" * 50 + "b" * 35 + "c" * 10 + "d" * 5):
        batch.append(0, offset, [], item, "view", 1.0, 0)
    assert memory.head(0.8) == set()
    memory.count(memory.register(batch)[0])
    assert (memory.head(0.1), memory.head(0.8), memory.head(0.99)) == ({"a"}, {"a", "b"}, {"a", "b", "c", "d"})
