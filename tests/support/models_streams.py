"""Small streams of transitions for tests of models."""

from __future__ import annotations

import random
from collections.abc import Sequence

from models.recommender import Ranking, Recommender
from models.transition import Transitions

ITEMS = 60


def ring(count: int, seed: int = 0, first: int = 0, items: int = ITEMS) -> Transitions:
    """Transitions of 20 sessions on a ring of items: 8 of 10 go to the next item.

    The other transitions go to a random item. ``first`` is the offset of the first transition.
    """
    rng, batch = random.Random(seed), Transitions()
    sessions: dict[int, list[int]] = {}
    for offset in range(first, first + count):
        prefix = sessions.setdefault(rng.randrange(20), [])
        item = (prefix[-1] + 1) % items if prefix and rng.random() < 0.8 else rng.randrange(items)
        batch.append(0, offset, [f"i{n}" for n in prefix[-20:]], f"i{item}", "view", 1.0, offset * 1000, len(prefix), 1.0)
        prefix.append(item)
        if len(prefix) > 30:
            prefix.clear()
    return batch


def steps(model: Recommender, batch: Transitions) -> list[Transitions]:
    """Split a batch into learning steps of the model."""
    size = model.step_size
    return [batch.take(range(begin, min(begin + size, len(batch)))) for begin in range(0, len(batch), size)]


def follow(learner: Recommender, follower: Recommender, batch: Transitions, every: int) -> None:
    """Have one model learn a batch, and another follow it.

    The follower takes the learner's parameters after each ``every`` steps, and at the end.
    """
    mark = 0
    for number, step in enumerate(steps(learner, batch)):
        learner.learn(step)
        follower.follow(step)
        if number % every == 0:
            parameters, mark = learner.changes(mark)
            follower.apply(parameters)
    follower.apply(learner.changes(mark)[0])


def learned(model: Recommender, batch: Transitions) -> list[Ranking]:
    """Learn a batch step by step. Returns the ranking of each prefix from before it was learned."""
    return [ranking for step in steps(model, batch) for ranking in model.test_then_learn(step)]


def recall(rankings: Sequence[Ranking], batch: Transitions, k: int = 5) -> float:
    """Recall@k of the prefixes that are not empty."""
    tested = [(r.items[:k], item) for r, item, prefix in zip(rankings, batch.item, batch.prefix, strict=True) if prefix]
    return sum(item in items for items, item in tested) / len(tested)
