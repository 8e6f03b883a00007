"""What every method that counts keeps: the vocabulary, and per item a row of pairs and statistics.

It follows the transitions log: per source partition it holds the highest source offset applied, and skips what is not above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakMethod

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.experts.columns import WINDOW, Columns, columns
from models.experts.rows import Rows, forget_items, learn_item, new_rows
from models.experts.statistics import Statistics, count_item, new_statistics
from models.experts.vocabulary import Vocabulary
from models.kernels.numerics import KERNEL, Ints
from models.recommender import QueryLike
from models.state import State, copy_rows, nested, part, scalar, text_array, texts
from models.transition import Transitions

MAX_ITEMS = 250_000
FIRST_CAPACITY = 1024
PADDING = [[-1] * (WINDOW - n) for n in range(WINDOW + 1)]
FORGOTTEN_AT_ONCE = 64
"""A full vocabulary forgets this fraction of itself at a time, as forgetting one item reads every row."""


class Memory:
    """Vocabulary and counts. ``events`` are the transitions counted; ``evicted`` the items forgotten.

    Whoever keeps more per item is told by ``on_grow(more)``, ``on_forget(gone)`` and ``on_add(row, window)``: room for so many
    more items, rows to clear (bool[capacity]), and a new item with the window that it came after.
    """

    def __init__(self, slots: int, max_items: int = MAX_ITEMS) -> None:
        self.slots, self.max_items = slots, max_items
        self.vocabulary = Vocabulary()
        self.capacity = FIRST_CAPACITY
        self.rows: Rows = new_rows(self.capacity, slots)
        self.statistics: Statistics = new_statistics(self.capacity)
        self.position: dict[int, int] = {}
        self.events = self.evicted = 0
        self._on_grow: Callable[[int], None] = _ignore
        self._on_forget: Callable[[NDArray[np.bool_]], None] = _ignore
        self._on_add: Callable[[int, Ints], None] = _ignore

    def tell(
        self,
        on_grow: Callable[[int], None] | None = None,
        on_forget: Callable[[NDArray[np.bool_]], None] | None = None,
        on_add: Callable[[int, Ints], None] | None = None,
    ) -> None:
        """Methods to call. Their objects are held weakly, so that a model that is given up is gone at once."""
        if on_grow is not None:
            self._on_grow = _weakly(on_grow)
        if on_forget is not None:
            self._on_forget = _weakly(on_forget)
        if on_add is not None:
            self._on_add = _weakly(on_add)

    def see(self, batch: Transitions) -> tuple[Columns, dict[int, int]]:
        """The fresh transitions of a batch in columns, and the rows of new items, each with the place that it came at."""
        fresh = self._fresh(batch)
        self._forget(batch, fresh)
        vocabulary, windows, targets, born = self.vocabulary, list[list[int]](), list[int](), dict[int, int]()
        for q, n in enumerate(fresh):
            windows.append(self._window(batch.prefix[n]))
            row = vocabulary.row(batch.item[n])
            if row is None:
                row = vocabulary.add(batch.item[n])
                self.reserve(row + 1)
                born[row] = q
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
            born,
        )

    def ask(self, queries: Sequence[QueryLike]) -> Columns:
        """Queries in columns; nothing is registered."""
        lengths = [len(query.prefix) if query.length is None else query.length for query in queries]
        none, one = [-1] * len(queries), [1.0] * len(queries)
        return columns([self._window(query.prefix) for query in queries], lengths, [query.dwell for query in queries], none, one)

    def count(self, counted: Columns) -> None:
        """Count transitions, in order."""
        count_all(counted, self.events, self.rows, self.statistics)
        self.events += len(counted.target)

    def popular(self) -> NDArray[np.float32]:
        """Popularity [height], decayed with a half-life of 2,000 events."""
        scores = self.statistics.decayed[: self.vocabulary.height, 1] / np.float32(self.statistics.increment[1])
        return np.asarray(scores, np.float32)

    def head(self, share: float) -> frozenset[str]:
        """The fewest items that together have this share of the events, which fade with a half-life of 20,000."""
        counts = self.statistics.decayed[: self.vocabulary.height, 2]
        order = np.argsort(-counts, kind="stable")
        reached = np.cumsum(counts[order], dtype=np.float64)
        size = int(np.searchsorted(reached, share * reached[-1])) + 1 if len(counts) else 0
        return frozenset(self.vocabulary.name(row) for row in order[:size].tolist() if counts[row] > 0)

    def reserve(self, height: int) -> None:
        """Have room for so many rows."""
        while self.capacity < height:
            self._grow()

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by name."""
        height = self.vocabulary.height
        partitions = sorted(self.position)
        numbers = {
            "events": scalar(self.events),
            "evicted": scalar(self.evicted),
            "free": np.array(self.vocabulary.free, np.int64),
            "partitions": np.array(partitions, np.int64),
            "offsets": np.array([self.position[partition] for partition in partitions], np.int64),
        }
        rows = {name: array[:height] for name, array in zip(Rows._fields, self.rows, strict=True)}
        statistics = dict(zip(Statistics._fields, self.statistics, strict=True))
        statistics = {name: array if name == "increment" else array[:height] for name, array in statistics.items()}
        return numbers | nested(items=text_array(self.vocabulary.items), rows=rows, statistics=statistics)

    def restore(self, state: State) -> None:
        """Become what another was, of the same slots."""
        self.reserve(len(state["rows.used"]))
        self.events, self.evicted = int(state["events"][0]), int(state["evicted"][0])
        self.position = dict(zip(state["partitions"].tolist(), state["offsets"].tolist(), strict=True))
        self.vocabulary.restore(texts(part(state, "items")), state["free"].tolist())
        copy_rows(self.rows, Rows._fields, part(state, "rows"))
        copy_rows(self.statistics, Statistics._fields, part(state, "statistics"))

    def _fresh(self, batch: Transitions) -> list[int]:
        fresh, position = [], self.position
        for n, (partition, offset) in enumerate(zip(batch.source_partition, batch.source_offset, strict=True)):
            if offset > position.get(partition, -1):
                position[partition] = offset
                fresh.append(n)
        return fresh

    def _window(self, prefix: Sequence[str]) -> list[int]:
        rows = self.vocabulary.rows(prefix[-WINDOW:])
        rows.reverse()
        return rows + PADDING[len(rows)]

    def _forget(self, batch: Transitions, fresh: Sequence[int]) -> None:
        """Before a batch: make place for its new items by forgetting those unseen for longest, but none of the batch's own."""
        vocabulary = self.vocabulary
        if len(vocabulary) + len(fresh) <= self.max_items:
            return
        items = {batch.item[n] for n in fresh}
        needed = len(vocabulary) + sum(vocabulary.row(item) is None for item in items) - self.max_items
        if needed <= 0:
            return
        last = self.statistics.last[: vocabulary.height].astype(np.int64)
        last[last < 0] = np.iinfo(np.int64).max
        last[vocabulary.rows(items)] = np.iinfo(np.int64).max
        oldest = np.argsort(last, kind="stable")[: max(needed, self.max_items // FORGOTTEN_AT_ONCE)]
        oldest = oldest[last[oldest] < np.iinfo(np.int64).max]
        gone = np.zeros(self.capacity, np.bool_)
        gone[oldest] = True
        forget_items(self.rows, gone)
        for name, array in zip(Statistics._fields, self.statistics, strict=True):
            if name != "increment":
                array[gone] = -1 if name == "last" else 0
        vocabulary.remove(oldest.tolist())
        self.evicted += len(oldest)
        self._on_forget(gone)

    def _grow(self) -> None:
        """Twice the room."""
        more = self.capacity
        self.rows = Rows(*(np.concatenate(pair) for pair in zip(self.rows, new_rows(more, self.slots), strict=True)))
        fresh, old = new_statistics(more), self.statistics
        self.statistics = Statistics(
            *(
                held if name == "increment" else np.concatenate([held, added])
                for name, held, added in zip(Statistics._fields, old, fresh, strict=True)
            )
        )
        self.capacity += more
        self._on_grow(more)


class Remembering:
    """What any method with a memory tells of it."""

    memory: Memory

    @property
    def position(self) -> Mapping[int, int]:
        """Highest source offset applied, per source partition."""
        return self.memory.position

    def reposition(self, position: Mapping[int, int]) -> None:
        """Go on as if these were the highest source offsets applied."""
        self.memory.position = dict(position)

    @property
    def vocabulary_size(self) -> int:
        """Items known."""
        return len(self.memory.vocabulary)

    @property
    def evicted_items(self) -> int:
        """Items forgotten because the vocabulary was full."""
        return self.memory.evicted

    def head(self, share: float) -> frozenset[str]:
        """The fewest items that have this share of the recent interactions: the last 20,000, fading."""
        return self.memory.head(share)


def _weakly(method: Callable[..., None]) -> Callable[..., None]:
    held = WeakMethod(method)

    def call(*arguments: Any) -> None:
        found = held()
        if found is not None:
            found(*arguments)

    return call


def _ignore(*_: Any) -> None:
    """Nobody keeps more per item."""


@njit(**KERNEL)
def count_all(columns, event, rows, statistics):  # type: ignore[no-untyped-def]
    """Count transitions without asking for anything."""
    for n in range(columns.target.shape[0]):
        learn_item(rows, columns.window[n], columns.target[n], columns.weight[n])
        count_item(statistics, columns.target[n], event + n)
