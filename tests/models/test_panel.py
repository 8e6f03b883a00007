"""The panel counts like a hybrid, is restored from its snapshot, and gives reasons."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.hybrid import Hybrid
from models.panel import Panel
from models.recommender import Query
from models.snapshot import SnapshotError, read, take
from models.state import part
from models.transition import Transitions


def walk(count: int, seed: int = 0, begin: int = 0) -> Transitions:
    """Sessions in which item n + 1 mostly follows item n."""
    rng, batch, prefix = random.Random(seed), Transitions(), list[str]()
    for offset in range(begin, begin + count):
        if not prefix or rng.random() < 0.2:
            prefix, item = [], f"i{rng.randrange(20)}"
        else:
            item = f"i{(int(prefix[-1][1:]) + 1) % 20}" if rng.random() < 0.8 else f"i{rng.randrange(20)}"
        batch.append(0, offset, list(prefix), item, "view", 1.0, 1000 * offset)
        prefix = [*prefix, item][-10:]
    return batch


def parts(batch: Transitions, size: int) -> list[Transitions]:
    return [batch.take(range(begin, min(begin + size, len(batch)))) for begin in range(0, len(batch), size)]


def test_a_panel_restored_from_a_hybrids_snapshot_equals_one_that_followed_the_whole_log() -> None:
    log = walk(600)
    hybrid, whole = Hybrid(), Panel()
    for batch in parts(log.take(range(320)), 16):
        hybrid.learn(batch)
    arrays = read(take("hybrid", hybrid))[1]
    panel = Panel.restored(part(arrays, "memory"))
    for batch in parts(log.take(range(200, 600)), 50):  # some of these were counted before
        panel.follow(batch)
    for batch in parts(log, 75):
        whole.follow(batch)
    assert panel.memory.position == whole.memory.position
    for item in range(20):
        query = Query([f"i{(item - 1) % 20}", f"i{item}"])
        left, right = panel.rank(query, 10), whole.rank(query, 10)
        assert left.items == right.items
        np.testing.assert_allclose(left.scores, right.scores, rtol=1e-5)
        assert left.items[0] == f"i{(item + 1) % 20}"
        assert (left.reasons[0], left.because[0]) == ("markov", f"i{item}")


def test_filters_apply_and_an_unknown_item_has_no_ranking() -> None:
    panel = Panel()
    panel.follow(walk(400))
    query = Query(["i3"], frozenset({"i4"}), allowed=frozenset({"i4", "i5", "i6", "never"}))
    ranking = panel.rank(query, 10, frozenset({"i6"}))
    assert ranking.items == ["i5"]
    assert panel.rank(Query(["never"]), 10).items == []
    assert panel.rank(Query([]), 10).items == []
    assert panel.popular(Query((), allowed=frozenset({"never"})), 10).items == []
    assert panel.knows("i3")
    assert not panel.knows("never")


def test_popularity_depends_on_the_half_life() -> None:
    panel, batch = Panel(), Transitions()
    for offset in range(4000):
        batch.append(0, offset, [], "old" if offset < 3000 else "new", "view", 1.0, offset)
    panel.follow(batch)
    assert panel.popular(Query(()), 2, half_life=500).items == ["new", "old"]
    assert panel.popular(Query(()), 2, half_life=20_000).items == ["old", "new"]


def test_a_snapshot_with_a_changed_byte_is_refused() -> None:
    data = bytearray(take("hybrid", Hybrid()))
    data[-5] ^= 1
    with pytest.raises(SnapshotError):
        read(bytes(data))
