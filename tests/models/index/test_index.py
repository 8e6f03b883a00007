"""The index by itself: what it finds, and that it follows its table in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import models.index.index
from models.gate.batch import NONE_BLOCKED
from models.gate.scoring import NO_ROWS
from models.index.index import Index
from models.index.lists import LEAST, MOST, NOWHERE
from models.kernels.numerics import Floats, Ints
from models.kernels.topk import new_top
from models.net.items import ItemTable, new_items

D = 64
NONE_VISIBLE: NDArray[np.bool_] = np.zeros((1, 0), np.bool_)  # [1, 0]


def table(items: int, capacity: int, clusters: int = 60, seed: int = 0) -> ItemTable:
    """Vectors around so many centres, as a net makes them."""
    rng, made = np.random.default_rng(seed), new_items(capacity)
    centres = rng.normal(0, 1 / 8, (clusters, D))
    made.embedding[:items] = 0.8 * centres[rng.integers(0, clusters, items)] + rng.normal(0, 0.4 / 8, (items, D))
    made.bias[:items] = rng.normal(0, 0.3, items)
    return made


def rows(count: int) -> Ints:
    return np.arange(count, dtype=np.int32)


def indexed(items: ItemTable, count: int) -> Index:
    index = Index()
    index.build(items, rows(count))
    return index


def found(index: Index, items: ItemTable, query: Floats, depth: int = 40, blocked: NDArray[np.uint8] = NONE_BLOCKED) -> list[int]:
    top = new_top(1, depth)
    index.search(items, query[None], blocked, NO_ROWS, NONE_VISIBLE, depth, top, np.zeros((1, depth), np.float32))
    ids: list[int] = top.items[0, : top.counts[0]].tolist()
    return ids


def best(items: ItemTable, query: Floats, among: NDArray[np.integer], depth: int = 40) -> list[int]:
    scores = items.embedding[among] @ query + items.bias[among]
    ids: list[int] = among[np.argsort(-scores)[:depth]].tolist()
    return ids


def recall(index: Index, items: ItemTable, queries: Floats, among: NDArray[np.integer]) -> float:
    return float(np.mean([len(set(found(index, items, q)) & set(best(items, q, among))) / 40 for q in queries]))


def queries_near(items: ItemTable, count: int, n: int = 40) -> Floats:
    rng = np.random.default_rng(1)
    queries = 5 * items.embedding[rng.integers(0, count, n)] + rng.normal(0, 0.1, (n, D))
    return queries.astype(np.float32)


def check(index: Index, items: ItemTable, among: NDArray[np.integer]) -> None:
    """Each row is in one list, with the code of its present vector; lists are within bounds."""
    lists, used = index.lists, index.used
    sizes = lists.size[:used]
    listed = np.concatenate([lists.row[n, : sizes[n]] for n in range(used)])
    np.testing.assert_array_equal(np.sort(listed), np.sort(among))
    at, entry = lists.place[among] // MOST, lists.place[among] % MOST
    np.testing.assert_array_equal(lists.row[at, entry], among)
    decoded = lists.code[at, entry] * lists.scale[at, entry, None]
    largest = np.abs(items.embedding[among]).max(1, keepdims=True)
    assert (np.abs(decoded - items.embedding[among]) <= 0.51 / 127 * largest + 1e-9).all()
    np.testing.assert_array_equal(lists.bias[at, entry], items.bias[among])
    assert (lists.place >= 0).sum() == len(among)
    assert sizes.max() < MOST
    assert (sizes[sizes > 0].min() >= LEAST) or (sizes > 0).sum() == 1
    np.testing.assert_array_equal(lists.half[:used] < NOWHERE, sizes > 0)


def test_it_finds_nearly_all_of_the_best_items() -> None:
    items = table(12_000, 12_000)
    index = indexed(items, 12_000)
    check(index, items, rows(12_000))
    assert recall(index, items, queries_near(items, 12_000), rows(12_000)) >= 0.97


def test_it_finds_the_best_of_vectors_without_any_clusters() -> None:
    """The hardest case, as no list is promising: the share of the lists that are read decides."""
    items = table(12_000, 12_000, clusters=12_000)
    index = indexed(items, 12_000)
    assert recall(index, items, queries_near(items, 12_000), rows(12_000)) >= 0.9


def test_with_every_list_read_the_best_items_and_the_norm_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.index.index, "PROBED_LEAST", 10_000)
    items = table(5_000, 5_000)
    index, top = indexed(items, 5_000), new_top(1, 40)
    for query in queries_near(items, 5_000):
        index.search(items, query[None], NONE_BLOCKED, NO_ROWS, NONE_VISIBLE, 40, top, np.zeros((1, 40), np.float32))
        assert top.items[0].tolist() == best(items, query, rows(5_000))
        scores = items.embedding @ query + items.bias
        assert top.log_norm[0] == pytest.approx(float(np.log(np.exp(scores).sum())), abs=2e-2)


def test_it_follows_rows_that_move_far_and_new_ones() -> None:
    items, other = table(12_000, 16_000), table(16_000, 16_000, seed=9)
    index = indexed(items, 9_000)
    rng = np.random.default_rng(3)
    items.embedding[9_000:] = other.embedding[9_000:]
    for begin in range(9_000, 16_000, 500):
        moved = rng.choice(9_000, 500, replace=False).astype(np.int32)
        items.embedding[moved], items.bias[moved] = other.embedding[moved], other.bias[moved]
        new = np.arange(begin, begin + 500, dtype=np.int32)
        index.update(items, moved, new, begin + 500)
    check(index, items, rows(16_000))
    assert recall(index, items, queries_near(items, 16_000), rows(16_000)) >= 0.97


def test_a_row_that_is_not_assigned_anew_has_its_present_score() -> None:
    items = table(3_000, 3_000)
    index = indexed(items, 3_000)
    items.bias[17] = 100
    index.update(items, np.array([17], np.int32), NO_ROWS, 3_000)
    assert found(index, items, np.zeros(D, np.float32), 1) == [17]


def test_blocked_items_are_left_out_and_the_next_best_follow() -> None:
    items = table(3_000, 3_000)
    index, query = indexed(items, 3_000), queries_near(items, 3_000)[0]
    blocked = np.zeros(3_000, np.uint8)
    blocked[found(index, items, query, 10)] = 1
    assert found(index, items, query, 5, blocked) == best(items, query, np.flatnonzero(blocked == 0), 5)


def test_an_item_outside_the_lists_is_found_by_the_queries_that_see_it() -> None:
    items = table(3_001, 3_001)
    index, top = indexed(items, 3_000), new_top(2, 5)
    items.bias[3_000] = 100
    visible = np.array([[True], [False]])
    index.search(
        items,
        queries_near(items, 3_000)[:2],
        NONE_BLOCKED,
        np.array([3_000], np.int32),
        visible,
        5,
        top,
        np.zeros((2, 5), np.float32),
    )
    assert top.items[0, 0] == 3_000
    assert 3_000 not in top.items[1]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whatever_changes_each_item_is_in_one_list_and_a_restored_index_goes_on_as_the_original(data: st.DataObject) -> None:
    capacity = 4_000
    items, rng = table(capacity, capacity, clusters=8), np.random.default_rng(data.draw(st.integers(0, 2**32)))
    present = rows(data.draw(st.integers(1, 2_500)))
    index = Index()
    index.build(items, present)
    for _ in range(data.draw(st.integers(1, 5))):
        share = data.draw(st.sampled_from([0.02, 0.3, 0.97]))
        gone = present[rng.random(len(present)) < share]
        if data.draw(st.booleans()) and len(gone) < len(present):
            index.remove(items, gone)
            present = np.setdiff1d(present, gone).astype(np.int32)
        moved = present[rng.random(len(present)) < share]
        items.embedding[moved] = items.embedding[rng.integers(0, capacity)] + rng.normal(0, 0.01, (len(moved), D))
        new = np.setdiff1d(rows(capacity), present)[: data.draw(st.integers(0, 700))].astype(np.int32)
        index.update(items, moved, new, capacity)
        present = np.union1d(present, new).astype(np.int32)
        check(index, items, present)
    restored = Index()
    restored.restore({name: array.copy() for name, array in index.state().items()}, items, present)
    items.bias[present] += 1
    for each in (index, restored):
        each.update(items, present, NO_ROWS, capacity)
    first, second = index.state(), restored.state()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    tops = new_top(40, 40), new_top(40, 40)
    queries = queries_near(items, capacity)
    for each, top in zip((index, restored), tops, strict=True):
        each.search(items, queries, NONE_BLOCKED, NO_ROWS, np.zeros((40, 0), np.bool_), 40, top, np.zeros((40, 40), np.float32))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*tops, strict=True))
