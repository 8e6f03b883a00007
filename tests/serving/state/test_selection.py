"""An answer has k items unless the model and the catalogue have fewer that pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.panel import Panel
from models.transition import Transitions
from serving.state.experts import Experts
from serving.state.selection import Filter, select
from serving.state.shelves import Shelves
from streams.events.records import Item, RankedItem

T = TypeVar("T")
ITEMS = [f"i{n}" for n in range(12)]
CATEGORIES = ["red", "blue"]
IDS = st.lists(st.sampled_from(ITEMS), unique=True, max_size=12)


class Inline:
    """Experts that answer in the calling thread."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    async def ask(self, question: Callable[[Panel], T]) -> T:
        return question(self.panel)


def shelves_of(items: list[tuple[str, list[str], bool]]) -> Shelves:
    shelves = Shelves()
    for item_id, categories, hidden in items:
        shelves.apply(item_id.encode(), msgspec.json.encode(Item(item_id=item_id, categories=categories, is_hidden=hidden)))
    return shelves


def panel_of(clicks: list[str]) -> Panel:
    panel, batch = Panel(64), Transitions()
    for offset, item in enumerate(clicks):
        batch.append(0, offset, clicks[max(offset - 5, 0) : offset], item, "view", 1.0, offset)
    panel.follow(batch)
    return panel


@given(
    published=IDS,
    prefix=IDS,
    clicks=st.lists(st.sampled_from(ITEMS), max_size=15),
    catalogue=st.lists(
        st.tuples(st.sampled_from(ITEMS), st.lists(st.sampled_from(CATEGORIES), max_size=2), st.booleans()),
        unique_by=lambda one: one[0],
    ),
    excluded=st.frozensets(st.sampled_from(ITEMS), max_size=5),
    category=st.sampled_from([None, *CATEGORIES]),
    k=st.integers(1, 15),
)
def test_an_answer_has_up_to_k_items_in_the_order_of_the_strategies(
    published: list[str], prefix: list[str], clicks: list[str], catalogue: list[tuple[str, list[str], bool]],
    excluded: frozenset[str], category: str | None, k: int,
) -> None:  # fmt: skip
    shelves, panel = shelves_of(catalogue), panel_of(clicks)
    allowed = None if category is None else shelves.category(category)
    wanted = Filter(k, shelves.hidden(0), excluded, allowed)
    ranked = [RankedItem(item, 10.0 - n, n + 1, "markov") for n, item in enumerate(published)]
    selected = asyncio.run(select(ranked, prefix, wanted, cast(Experts, Inline(panel)), shelves))
    ids = [item.item_id for item in selected.items]
    known = {*published, *clicks, *shelves.ids()}
    passing = {item for item in known if wanted.passes(item)}
    assert len(ids) == min(k, len(passing))
    assert len(set(ids)) == len(ids)
    assert set(ids) <= passing
    assert [item.rank for item in selected.items] == list(range(1, len(ids) + 1))
    scores = [item.score for item in selected.items]
    assert scores == sorted(scores, reverse=True)
    kept = [item for item in published if wanted.passes(item)][:k]
    assert ids[: len(kept)] == kept
    assert selected.fallback == [name for name in ("experts", "popularity", "catalogue") if name in selected.fallback]
    assert bool(selected.fallback) == (len(ids) > len(kept))


def test_items_without_interactions_come_newest_first_and_say_so() -> None:
    shelves = shelves_of([("a", [], False), ("b", [], True), ("c", [], False)])
    wanted = Filter(5, shelves.hidden(0))
    selected = asyncio.run(select([], [], wanted, cast(Experts, Inline(panel_of([]))), shelves))
    assert [(item.item_id, item.reason) for item in selected.items] == [("c", "catalogue"), ("a", "catalogue")]
    assert selected.fallback == ["catalogue"]


def test_the_shelves_follow_every_change_of_an_item() -> None:
    shelves = shelves_of([("a", ["red"], False), ("b", ["red", "blue"], False)])
    assert shelves.categories == {"red": 2, "blue": 1}
    shelves.apply(b"b", msgspec.json.encode(Item(item_id="b", categories=["blue"], is_hidden=True)))
    assert shelves.categories == {"red": 1, "blue": 1}
    hidden = shelves.hidden(0)
    assert [item.item_id for item in shelves.items(hidden)] == ["a"]
    assert (shelves.shown(hidden), shelves.shown(hidden, "blue"), shelves.shown(hidden, "none")) == (1, 0, 0)
    shelves.apply(b"b", None)
    shelves.apply(b"a", None)
    assert shelves.categories == {}
    assert shelves.shown(shelves.hidden(0)) == 0
