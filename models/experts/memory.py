"""The memory of every method that counts: the vocabulary, and each item's pairs and statistics.

It follows the transitions log, and skips transitions that it has applied before: see
`models.applied`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakMethod

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.applied import Applied
from models.experts.columns import WINDOW, Columns, columns
from models.experts.rows import Rows, evict_items, learn_item, new_rows
from models.experts.statistics import Statistics, count_item, new_statistics
from models.experts.vocabulary import Vocabulary
from models.kernels.numerics import KERNEL, Ints
from models.layout import ITEM_BYTES, check_lengths, check_range
from models.recommender import QueryLike
from models.state import State, copy_rows, nested, part, scalar, text_array, texts
from models.transition import Transitions

MAX_ITEMS = 250_000
FIRST_CAPACITY = 1024
PADDING = [[-1] * (WINDOW - n) for n in range(WINDOW + 1)]
EVICTED_AT_ONCE = 64
"""A full vocabulary evicts 1/64 of its items at once, because evicting even one reads every row."""


class Counts(NamedTuple):
    """All that is counted, in the form that kernels read and change."""

    rows: Rows  # pairs of items
    statistics: Statistics  # single items
    events: int  # transitions counted so far


class Memory:
    """Vocabulary and counts.

    ``events`` is the number of transitions counted, ``evicted`` that of evicted items. A model that
    keeps more arrays per item subscribes to changes of the rows: see `subscribe`.
    """

    def __init__(self, slots: int, max_items: int = MAX_ITEMS) -> None:
        self.slots, self.max_items = slots, max_items
        self.vocabulary = Vocabulary()
        self.capacity = FIRST_CAPACITY
        self.rows: Rows = new_rows(self.capacity, slots)
        self.statistics: Statistics = new_statistics(self.capacity)
        self.applied = Applied()
        self.events = self.evicted = 0
        self._on_grow: Callable[[int], None] = _ignore
        self._on_evict: Callable[[NDArray[np.bool_]], None] = _ignore
        self._on_add: Callable[[int, Ints], None] = _ignore

    @property
    def counts(self) -> Counts:
        """The present arrays: they are replaced when the memory grows."""
        return Counts(self.rows, self.statistics, self.events)

    @property
    def position(self) -> Mapping[int, int]:
        """The highest source offset applied, per source partition."""
        return self.applied.highest

    def subscribe(
        self,
        on_grow: Callable[[int], None] | None = None,
        on_evict: Callable[[NDArray[np.bool_]], None] | None = None,
        on_add: Callable[[int, Ints], None] | None = None,
    ) -> None:
        """Set the methods that `register` and `reserve` call.

        ``on_grow(more)`` is called after the capacity has grown by ``more`` rows.
        ``on_evict(evicted)`` is called after an eviction, and must clear the rows marked in
        ``evicted`` bool[capacity]. ``on_add(row, window)`` is called after a new item is
        registered; ``window`` int32[10] has the rows of the prefix before it.

        The methods' objects are referenced weakly, so that a model without other references is
        freed at once.
        """
        if on_grow is not None:
            self._on_grow = _weakly(on_grow)
        if on_evict is not None:
            self._on_evict = _weakly(on_evict)
        if on_add is not None:
            self._on_add = _weakly(on_add)

    def register(self, batch: Transitions) -> tuple[Columns, dict[int, int]]:
        """Give the new items of a batch rows, and note the batch as applied.

        Returns the transitions that were not applied before as columns, and for the row of each new
        item the index of the transition that it came with.
        """
        fresh = self._fresh(batch)
        self._evict(batch, fresh)
        vocabulary, windows, targets, first_seen = self.vocabulary, list[list[int]](), list[int](), dict[int, int]()
        for q, n in enumerate(fresh):
            windows.append(self._window(batch.prefix[n]))
            row = vocabulary.row(batch.item[n])
            if row is None:
                row = vocabulary.add(batch.item[n])
                self.reserve(row + 1)
                first_seen[row] = q
                self._on_add(row, np.array(windows[-1], np.int32))
            targets.append(row)
        return (
            columns(
                windows,
                [batch.length[n] for n in fresh],
                [batch.dwell[n] for n in fresh],
                targets,
                [batch.weight[n] for n in fresh],
            ),
            first_seen,
        )

    def look_up(self, queries: Sequence[QueryLike]) -> Columns:
        """Queries as columns, without their unknown items. Nothing is registered."""
        lengths = [len(query.prefix) if query.length is None else query.length for query in queries]
        none, one = [-1] * len(queries), [1.0] * len(queries)
        return columns([self._window(query.prefix) for query in queries], lengths, [query.dwell for query in queries], none, one)

    def count(self, counted: Columns) -> None:
        """Count registered transitions, in order."""
        count_all(counted, self.counts)
        self.events += len(counted.target)

    def popular(self) -> NDArray[np.float32]:
        """Popularity [height] by row, with a half-life of 2,000 events."""
        scores = self.statistics.decayed[: self.vocabulary.height, 1] / np.float32(self.statistics.increment[1])  # [height]
        return np.asarray(scores, np.float32)

    def head(self, share: float) -> frozenset[str]:
        """The fewest items that have this share of the events (half-life 20,000 events)."""
        counts = self.statistics.decayed[: self.vocabulary.height, 2]  # [height]
        order = np.argsort(-counts, kind="stable")  # [height]
        reached = np.cumsum(counts[order], dtype=np.float64)  # [height]
        size = int(np.searchsorted(reached, share * reached[-1])) + 1 if len(counts) else 0
        return frozenset(self.vocabulary.name(row) for row in order[:size].tolist() if counts[row] > 0)

    def reserve(self, height: int) -> None:
        """Grow until there is room for so many rows."""
        while self.capacity < height:
            self._grow()

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays, by name."""
        height = self.vocabulary.height
        numbers = {
            "events": scalar(self.events),
            "evicted": scalar(self.evicted),
            "free": np.array(self.vocabulary.free, np.int64),
        }
        rows = {name: array[:height] for name, array in zip(Rows._fields, self.rows, strict=True)}
        statistics = dict(zip(Statistics._fields, self.statistics, strict=True))
        statistics = {name: array if name == "increment" else array[:height] for name, array in statistics.items()}
        return numbers | self.applied.state() | nested(items=text_array(self.vocabulary.items), rows=rows, statistics=statistics)

    def restore(self, state: State) -> None:
        """Take the state of another memory with the same number of slots.

        Raises ``ValueError`` if a kernel could not read it.
        """
        _check(state, self.slots)
        self.reserve(len(state["rows.used"]))
        self.events, self.evicted = int(state["events"][0]), int(state["evicted"][0])
        self.applied = Applied.restored(state)
        self.vocabulary.restore(texts(part(state, "items")), state["free"].tolist())
        copy_rows(self.rows, Rows._fields, part(state, "rows"))
        copy_rows(self.statistics, Statistics._fields, part(state, "statistics"))

    def _fresh(self, batch: Transitions) -> list[int]:
        """The indices of the transitions that were not applied before; notes them as applied."""
        sources = zip(batch.source_partition, batch.source_offset, batch.source_number, strict=True)
        return [n for n, source in enumerate(sources) if self.applied.add(*source)]

    def _window(self, prefix: Sequence[str]) -> list[int]:
        """The rows of the known ones of the last ten items, most recent first, -1 padded."""
        rows = self.vocabulary.rows(prefix[-WINDOW:])
        rows.reverse()
        return rows + PADDING[len(rows)]

    def _evict(self, batch: Transitions, fresh: Sequence[int]) -> None:
        """Make room for the batch's new items by evicting those unseen for longest.

        Items of the batch are not evicted.
        """
        vocabulary = self.vocabulary
        if len(vocabulary) + len(fresh) <= self.max_items:
            return
        items = {batch.item[n] for n in fresh}
        needed = len(vocabulary) + sum(vocabulary.row(item) is None for item in items) - self.max_items
        if needed <= 0:
            return
        last = self.statistics.last[: vocabulary.height].astype(np.int64)  # [height]
        last[last < 0] = np.iinfo(np.int64).max
        last[vocabulary.rows(items)] = np.iinfo(np.int64).max
        oldest = np.argsort(last, kind="stable")[: max(needed, self.max_items // EVICTED_AT_ONCE)]  # [E]
        oldest = oldest[last[oldest] < np.iinfo(np.int64).max]
        evicted = np.zeros(self.capacity, np.bool_)  # [capacity]
        evicted[oldest] = True
        evict_items(self.rows, evicted)
        for name, array in zip(Statistics._fields, self.statistics, strict=True):
            if name != "increment":
                array[evicted] = -1 if name == "last" else 0
        vocabulary.remove(oldest.tolist())
        self.evicted += len(oldest)
        self._on_evict(evicted)

    def _grow(self) -> None:
        """Double the capacity."""
        more = self.capacity
        self.rows = Rows(*(np.concatenate(pair) for pair in zip(self.rows, new_rows(more, self.slots), strict=True)))
        pairs = zip(Statistics._fields, self.statistics, new_statistics(more), strict=True)
        self.statistics = Statistics(
            *(old if name == "increment" else np.concatenate([old, added]) for name, old, added in pairs)
        )
        self.capacity += more
        self._on_grow(more)


class Remembering:
    """The part of `Recommender` that a memory answers."""

    memory: Memory

    @property
    def position(self) -> Mapping[int, int]:
        return self.memory.position

    def reposition(self, position: Mapping[int, int]) -> None:
        self.memory.applied = Applied(position)

    @property
    def vocabulary_size(self) -> int:
        return len(self.memory.vocabulary)

    @property
    def evicted_items(self) -> int:
        return self.memory.evicted

    def head(self, share: float) -> frozenset[str]:
        return self.memory.head(share)


def _check(state: State, slots: int) -> None:
    """Check that every array has a row for each item, and that every slot in use has an item."""
    lengths, used, others = state["items.lengths"], state["rows.used"], state["rows.item"]
    height = len(lengths)
    by_row = [f"rows.{name}" for name in Rows._fields]
    check_lengths(state, by_row + [f"statistics.{name}" for name in Statistics._fields if name != "increment"], height)
    check_range("items.lengths", lengths, -1, ITEM_BYTES)
    check_range("rows.used", used, 0, slots)
    check_range("rows.item", others, -1, height - 1)
    if ((others < 0) & (np.arange(slots) < used[:, None])).any():
        raise ValueError("a slot in use has no item")
    for name in ("rows.increment", "statistics.increment"):
        if not (state[name] > 0).all():
            raise ValueError(f"the array {name} has a number that is not above 0")


def _weakly(method: Callable[..., None]) -> Callable[..., None]:
    """The method, by a weak reference to its object; it does nothing once the object is gone."""
    reference = WeakMethod(method)

    def call(*arguments: Any) -> None:
        target = reference()
        if target is not None:
            target(*arguments)

    return call


def _ignore(*_: Any) -> None:
    """No model subscribed."""


@njit(**KERNEL)
def count_all(columns, counts):  # type: ignore[no-untyped-def]
    """Count B transitions, in order."""
    for n in range(columns.target.shape[0]):
        learn_item(counts.rows, columns.window[n], columns.target[n], columns.weight[n])
        count_item(counts.statistics, columns.target[n], counts.events + n)
