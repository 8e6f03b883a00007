"""The index: an inverted file over the item table of a net, which follows it in place.

Jegou et al., *Product quantization for nearest neighbor search*, 2011, describe inverted files. The
lists keep their size by splits and reassignment, as in Xu et al., *SPFresh: incremental in-place
update for billion-scale vector search*, SOSP 2023. docs/decisions/0015 has the measurements.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoders.encoder import D
from models.index.assign import assign, drop, strayed
from models.index.lists import LEAST, MOST, NOWHERE, Lists, fill, new_lists, refresh, rows_in_order
from models.index.search import search
from models.kernels.linear import multiply
from models.kernels.numerics import Floats, Ints
from models.kernels.topk import Top
from models.layout import check_lengths, check_range
from models.net.items import ItemTable
from models.state import State, scalar

AT_ONCE = 256
"""Rows that are assigned at once."""
SWEPT = 32
"""Rows that each update assigns anew in turn, whether or not they have changed."""
PROBED_LEAST, PROBED_SHARE, PROBED_MOST = 32, 5, 640


class Index:
    """Lists of all items of a table, each in that of the centroid nearest to it.

    It is a function of the changes so far, and `restore` gives the same index as the changes did.
    """

    def __init__(self) -> None:
        self.built = False
        self.lists = new_lists(0, 0)
        self.used = self._swept = 0

    def build(self, items: ItemTable, rows: Ints) -> None:
        """Index these rows [N] of a table. Each is assigned twice, as the first centroids move."""
        self.built, self.used, self._swept = True, 1, 0
        self.lists = new_lists(AT_ONCE, len(items.bias))
        for _ in range(2):
            self._assign(items, rows)

    def grow(self, capacity: int) -> None:
        """Make room for rows below ``capacity``."""
        place = np.full(capacity, -1, np.int32)  # [capacity]
        place[: len(self.lists.place)] = self.lists.place
        self.lists = self.lists._replace(place=place)

    def update(self, items: ItemTable, changed: Ints, new: Ints, height: int) -> None:
        """Take over the vectors of the rows ``changed``, and those of ``new`` ones.

        New rows, and those that are far from the centroid of their list, are assigned. So are a few
        of all rows below ``height`` in turn.
        """
        far = np.empty(len(changed), np.int32)  # [<= N]
        count = strayed(self.lists, changed, items.embedding, items.bias, far)
        refresh(self.lists, changed, items.embedding, items.bias)
        turn = (self._swept + np.arange(min(SWEPT, height), dtype=np.int32)) % max(height, 1)  # [<= SWEPT]
        self._swept = (self._swept + SWEPT) % max(height, 1)
        self._assign(items, np.unique(np.concatenate([far[:count], new, turn[self.lists.place[turn] >= 0]])))

    def remove(self, items: ItemTable, rows: Ints) -> None:
        """Take these rows out."""
        orphans = np.zeros((len(rows) + 1) * LEAST, np.int32)
        lost = drop(self.lists, self.used, rows, orphans)
        self._assign(items, orphans[:lost])

    def search(
        self, items: ItemTable, vectors: Floats, blocked: NDArray[np.uint8], extra: Ints, visible: NDArray[np.bool_],
        depth: int, top: Top, scores: Floats,
    ) -> None:  # fmt: skip
        """Write the ``depth`` best items of the query vectors [A, d] into ``top``, best first.

        Their scores go to ``scores`` [A, >= depth].
        ``blocked`` uint8[capacity] marks items to leave out; [0] leaves out none. ``extra`` [X] are
        rows that are not indexed, of which query q sees those with ``visible[q]``, bool[A, X].
        """
        queries = np.ones((len(vectors), D + 1), np.float32)  # [A, d + 1]
        queries[:, :D] = vectors
        products = np.empty((len(vectors), self.used), np.float32)  # [A, L]
        multiply(queries, self.lists.centroid[: self.used].T, products)
        probed = max(min(PROBED_LEAST + self.used // PROBED_SHARE, PROBED_MOST), 8 * depth // MOST)
        search(
            self.lists, self.used, probed, queries, products, items.embedding, items.bias, blocked, extra, visible, depth, top,
            scores,
        )  # fmt: skip

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name. Codes are not among them, because the item table determines them."""
        lists, used = self.lists, self.used
        order = np.zeros(int(lists.size[:used].sum()), np.int32)  # [N]
        rows_in_order(lists, used, order)
        return {
            "order": order,
            "sizes": lists.size[:used],
            "centroids": lists.centroid[:used],
            "half": lists.half[:used],
            "spread": lists.spread[:used],
            "swept": scalar(self._swept),
        }

    def restore(self, state: State, items: ItemTable, rows: Ints) -> None:
        """Take the state of another index of the same rows [N] of an equal table.

        Raises ``ValueError`` if a kernel could not read it.
        """
        order, sizes = state["order"].copy(), state["sizes"].copy()
        check_lengths(state, ("centroids", "half", "spread"), len(sizes))
        check_range("sizes", sizes, 0, MOST - 1)
        check_range("swept", state["swept"], 0, len(items.bias))
        if int(sizes.sum()) != len(order) or not np.array_equal(np.sort(order), rows):
            raise ValueError("the lists of the index do not have each item once")
        if not ((state["half"] < NOWHERE) == (sizes > 0)).all():
            raise ValueError("a list of the index is in use without an item")
        self.built, self.used, self._swept = True, len(sizes), int(state["swept"][0])
        self.lists = new_lists(len(sizes) + AT_ONCE, len(items.bias))
        for name in ("centroid", "half", "spread"):
            getattr(self.lists, name)[: len(sizes)] = state["centroids" if name == "centroid" else name]
        fill(self.lists, sizes, order)
        refresh(self.lists, order, items.embedding, items.bias)

    def _assign(self, items: ItemTable, rows: Ints) -> None:
        """Assign these rows to lists, and those of lists that are dissolved by that."""
        while len(rows):
            lost = [np.zeros(0, np.int32)]
            for begin in range(0, len(rows), AT_ONCE):
                some = rows[begin : begin + AT_ONCE]  # [n]
                self._reserve(self.used + len(some))
                vectors = np.concatenate([items.embedding[some], items.bias[some, None]], axis=1)  # [n, d + 1]
                products = np.empty((len(some), self.used), np.float32)  # [n, L]
                multiply(vectors, self.lists.centroid[: self.used].T, products)
                orphans = np.zeros(len(some) * LEAST, np.int32)
                self.used, count = assign(self.lists, self.used, some, products, items.embedding, items.bias, orphans)
                refresh(self.lists, some, items.embedding, items.bias)
                lost.append(orphans[:count])
            rows = np.unique(np.concatenate(lost))

    def _reserve(self, count: int) -> None:
        """Make room for so many lists."""
        have = len(self.lists.size)
        if have < count:
            more = new_lists(max(count - have, have), 0)
            old = zip(Lists._fields, self.lists, more, strict=True)
            self.lists = Lists._make(a if name == "place" else np.concatenate([a, b]) for name, a, b in old)
