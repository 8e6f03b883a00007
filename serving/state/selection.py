"""Selects the items of an answer: first from the published ranking, then from fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple, TypeVar

from models.panel import HALF_LIFE, Panel
from models.recommender import Query, Ranking
from serving.state.experts import Experts
from serving.state.shelves import Shelves
from streams.events.records import RankedItem, ranked_items

CATALOGUE = "catalogue"
"""The last fallback: items that no model has ranked, newest first."""
T = TypeVar("T")


class Filter(NamedTuple):
    """Which items an answer may contain: at most ``k``, and none that is hidden or excluded.

    ``category`` is the set of allowed items; ``None`` allows all.
    """

    k: int
    hidden: AbstractSet[str]
    excluded: AbstractSet[str] = frozenset()
    category: AbstractSet[str] | None = None

    def passes(self, item_id: str) -> bool:
        """Tell whether an answer may contain this item."""
        return item_id not in self.hidden and item_id not in self.excluded and (self.category is None or item_id in self.category)


class Selected(NamedTuple):
    """Items with ranks from 1, and the names of the fallbacks that added some of them, in order."""

    items: list[RankedItem]
    fallback: list[str]


def take(items: Sequence[RankedItem], wanted: Filter) -> list[RankedItem]:
    """Return the first ``k`` items that pass the filter."""
    return list(islice((item for item in items if wanted.passes(item.item_id)), wanted.k))


async def select(
    published: Sequence[RankedItem], prefix: Sequence[str], wanted: Filter, experts: Experts, shelves: Shelves
) -> Selected:
    """Select the items of an answer.

    The answer has ``k`` items unless the published ranking, the model and the catalogue together
    have fewer that pass the filter. The experts rank by ``prefix``, oldest item first.
    """
    kept = take(published, wanted)
    fallback: list[str] = []
    if len(kept) < wanted.k:
        category = None if wanted.category is None else frozenset(wanted.category)  # a copy for another thread
        for ranking in await experts.ask(_Behind(kept, prefix, wanted, category)):
            _append(kept, ranked_items(ranking), ranking.strategy, fallback)
    if len(kept) < wanted.k:
        _append(kept, _unseen(shelves, wanted, {item.item_id for item in kept}), CATALOGUE, fallback)
    return Selected(ranked(kept), fallback)


def ranked(items: Sequence[RankedItem]) -> list[RankedItem]:
    """Return the items with ranks from 1 in this order."""
    return [
        item if item.rank == rank else RankedItem(item.item_id, item.score, rank, item.reason, item.because_item_id)
        for rank, item in enumerate(items, 1)
    ]


def popular(wanted: Filter, half_life: int = HALF_LIFE) -> Callable[[Panel], Ranking]:
    """Return a question to the experts: the most popular items that pass the filter.

    ``half_life`` is a number of events, one of `models.experts.statistics.HALF_LIVES`.
    """
    allowed = None if wanted.category is None else frozenset(wanted.category)
    query = Query((), wanted.excluded, allowed=allowed)
    return lambda panel: panel.popular(query, wanted.k, wanted.hidden, half_life)


class _Behind:
    """A question to the experts: more items after ``kept``, by the prefix, then by popularity."""

    def __init__(
        self, kept: Sequence[RankedItem], prefix: Sequence[str], wanted: Filter, category: frozenset[str] | None
    ) -> None:
        self._kept = frozenset(item.item_id for item in kept)
        self._prefix, self._wanted, self._category = prefix, wanted, category

    def __call__(self, panel: Panel) -> list[Ranking]:
        wanted = self._wanted
        missing = wanted.k - len(self._kept)
        query = Query(self._prefix, self._kept | wanted.excluded, allowed=self._category)
        first = panel.rank(query, missing, wanted.hidden)
        if len(first.items) == missing:
            return [first]
        query = query._replace(excluded=query.excluded | frozenset(first.items))
        return [first, panel.popular(query, missing - len(first.items), wanted.hidden)]


def _append(kept: list[RankedItem], more: Sequence[RankedItem], strategy: str, fallback: list[str]) -> None:
    """Append the items of a fallback, with scores that are shifted below the scores above them."""
    if not more:
        return
    fallback.append(strategy)
    above = kept[-1].score - more[0].score if kept else 0.0
    shift = min(above, 0.0)
    kept += [RankedItem(item.item_id, item.score + shift, item.rank, item.reason, item.because_item_id) for item in more]


def _unseen(shelves: Shelves, wanted: Filter, kept: AbstractSet[str]) -> list[RankedItem]:
    """Return items of the catalogue that no model has ranked, newest first."""
    # A set-like view of a dict keeps the order but cannot be reversed.
    ids = list(shelves.ids() if wanted.category is None else wanted.category)
    passing = (item_id for item_id in reversed(ids) if item_id not in kept and wanted.passes(item_id))
    return [RankedItem(item_id, 0.0, 0, CATALOGUE) for item_id in islice(passing, wanted.k - len(kept))]
