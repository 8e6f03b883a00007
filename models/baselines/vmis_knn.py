"""VMIS-kNN, streaming (Kersbergen et al., *Serenade*, SIGMOD 2022).

Recent sessions that share an item with the evolving session are its neighbours, and vote for items.
With the paper's constants, of each item the m most recent sessions are considered, and the k most
similar of these are neighbours. The similarity of a session is the sum, over the items that it
shares with the evolving session, of the item's position there divided by the length. A neighbour
adds to the score of each of its items: similarity x (1 - 0.1 x how long ago the last shared item
was, in clicks, at most 9) x (1 + log(sessions / sessions of the item)). The index is always up to
date, so the evolving session is a neighbour of itself: Recall@20 on rsc15 is .647 with it and .621
without.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.baselines.counting import Counting
from models.experts.columns import WINDOW, Columns
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, descending, f4, index_of, select
from models.layout import MOST_STEPS, check_lengths, check_range
from models.state import State, scalar

RECENT_SESSIONS = 500
NEIGHBOURS = 100
SESSIONS = 200_000
ITEMS_OF_SESSION = 20
OPEN = 50_000


class Index(NamedTuple):
    """Sessions with their items in a ring, and for each item a ring of its sessions."""

    items: Ints  # [sessions, 20] rows of the session's last items in order, -1 padded
    size: Ints  # [sessions] how many items
    sessions_of: Ints  # [capacity, 500] the item's last sessions, -1 padded
    count_of: NDArray[np.int64]  # [capacity] sessions that the item was in


class VMISKNN(Counting):
    """Ranks items by the votes of similar sessions.

    A transition does not name its session. It belongs to an open session that is as long as the
    prefix and ends with the same items. Of several such sessions any one is taken, because they are
    equal so far.
    """

    strategy = "vmis_knn"

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(seed, **options)
        self.index = Index(
            np.full((SESSIONS, ITEMS_OF_SESSION), -1, np.int32),  # [sessions, 20]
            np.zeros(SESSIONS, np.int32),  # [sessions]
            np.full((self.memory.capacity, RECENT_SESSIONS), -1, np.int32),  # [capacity, 500]
            np.zeros(self.memory.capacity, np.int64),  # [capacity]
        )
        self.begun = 0
        self._open: OrderedDict[tuple[int, ...], list[int]] = OrderedDict()
        self._similarity = np.zeros(SESSIONS, np.float32)  # [sessions]
        self._latest = np.zeros(SESSIONS, np.int32)  # [sessions]
        self.memory.subscribe(on_grow=self._grow)

    def _scores(self, columns: Columns, q: int) -> Floats:
        scores = np.zeros(self.memory.vocabulary.height, np.float32)  # [height]
        vote(columns.window[q], self.index, min(self.begun, SESSIONS), self._similarity, self._latest, scores)
        return scores

    def _count_own(self, columns: Columns) -> None:
        index = self.index
        for n in range(len(columns.target)):
            window = [x for x in columns.window[n].tolist() if x >= 0]
            length, item = int(columns.length[n]), int(columns.target[n])
            session = self._take_open((length, *window))
            if session is None:
                session = self.begun % SESSIONS
                self.begun += 1
                index.items[session], index.size[session] = -1, 0
            items = index.items[session, : index.size[session]].tolist()
            if item not in items:
                index.sessions_of[item, index.count_of[item] % RECENT_SESSIONS] = session
                index.count_of[item] += 1
            items = [*items, item][-ITEMS_OF_SESSION:]
            index.items[session, : len(items)], index.size[session] = items, len(items)
            self._open.setdefault((length + 1, item, *window[: WINDOW - 1]), []).append(session)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)

    def _take_open(self, key: tuple[int, ...]) -> int | None:
        """Remove and return an open session of this length and these last items."""
        alike = self._open.get(key)
        if not alike:
            return None
        session = alike.pop()
        if not alike:
            del self._open[key]
        return session

    def _evict(self, evicted: NDArray[np.bool_]) -> None:
        index = self.index
        index.sessions_of[evicted], index.count_of[evicted] = -1, 0
        padded = np.append(evicted, False)  # [capacity + 1] row -1 stands for no item
        for session in np.flatnonzero(padded[index.items].any(1)):
            items = [x for x in index.items[session].tolist() if x >= 0 and not evicted[x]]
            index.items[session], index.size[session] = -1, len(items)
            index.items[session, : len(items)] = items
        self._open = OrderedDict((key, alike) for key, alike in self._open.items() if not any(evicted[x] for x in key[1:]))

    def _grow(self, more: int) -> None:
        rings, counts = np.full((more, RECENT_SESSIONS), -1, np.int32), np.zeros(more, np.int64)  # [more, 500], [more]
        self.index = self.index._replace(
            sessions_of=np.concatenate([self.index.sessions_of, rings]),  # [capacity, 500]
            count_of=np.concatenate([self.index.count_of, counts]),  # [capacity]
        )

    def state(self) -> dict[str, NDArray[Any]]:
        index, height, stored = self.index, self.memory.vocabulary.height, min(self.begun, SESSIONS)
        flat = [[session, len(key), *key] for key, alike in self._open.items() for session in alike]
        own = {"begun": scalar(self.begun), "open": np.array([n for entry in flat for n in entry], np.int64)}
        own |= {"items": index.items[:stored], "size": index.size[:stored]}
        return super().state() | own | {"sessions_of": index.sessions_of[:height], "count_of": index.count_of[:height]}

    def restore(self, state: State) -> None:
        super().restore(state)
        self.begun, height = int(state["begun"][0]), self.memory.vocabulary.height
        check_lengths(state, ("items", "size"), min(self.begun, SESSIONS))
        check_lengths(state, ("sessions_of", "count_of"), height)
        check_range("items", state["items"], -1, height - 1)
        check_range("size", state["size"], 0, ITEMS_OF_SESSION)
        check_range("sessions_of", state["sessions_of"], -1, SESSIONS - 1)
        check_range("count_of", state["count_of"], 0, MOST_STEPS)
        for name in Index._fields:
            getattr(self.index, name)[: len(state[name])] = state[name]
        flat, at = state["open"].tolist(), 0
        while at < len(flat):
            session, length = flat[at], flat[at + 1] if at + 1 < len(flat) else -1
            rows = flat[at + 3 : at + 2 + length]
            if not (0 <= session < SESSIONS and 1 <= length <= WINDOW + 1 and all(0 <= row < height for row in rows)):
                raise ValueError("an open session is not one")
            self._open.setdefault(tuple(flat[at + 2 : at + 2 + length]), []).append(session)
            at += 2 + length


@njit(**KERNEL)
def vote(window, index, sessions, similarity, latest, scores):  # type: ignore[no-untyped-def]
    """Add the neighbours' votes for each item to ``scores`` [height].

    ``window`` int32[10] is the evolving session. ``similarity`` float32[sessions] is zero before
    and after; ``latest`` int32[sessions] is scratch.
    """
    length = 0
    while length < window.shape[0] and window[length] >= 0:
        length += 1
    similar = np.empty(length * index.sessions_of.shape[1], np.int32)  # [<= 10 * 500] sessions that share an item
    n = 0
    for recency in range(length):
        x, again = window[recency], False
        for earlier in range(recency):
            again = again or window[earlier] == x
        if again:
            continue
        share = f4(length - recency) / f4(length)
        for slot in range(min(index.count_of[x], index.sessions_of.shape[1])):
            session = index.sessions_of[x, slot]
            if session < 0:
                continue
            if similarity[session] == ZERO:
                similar[n] = session
                latest[session] = recency + 1
                n += 1
            similarity[session] += share
    keys = np.empty(n + 1, np.int64)  # [n + 1]
    for m in range(n):
        keys[m] = descending(similarity[similar[m]], similar[m])
    neighbours = min(n, NEIGHBOURS)
    if n > neighbours:
        select(keys, n, neighbours)
    for m in range(neighbours):
        session = index_of(keys[m])
        weight = similarity[session] * (ONE - f4(0.1) * f4(min(latest[session], 9)))
        for place in range(index.size[session]):
            x = index.items[session, place]
            scores[x] += weight * f4(np.log(f4(sessions) / f4(max(index.count_of[x], 1))) + 1)
    for m in range(n):
        similarity[similar[m]] = ZERO
