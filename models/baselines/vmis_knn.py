"""VMIS-kNN, streaming: the nearest of the recent sessions that share an item (Kersbergen et al., *Serenade*, SIGMOD 2022).

The paper's constants: the m most recent sessions of each item are looked at, the k most similar are neighbours. A session's
similarity is the sum over shared items of their place in the evolving session over its length; it adds to each of its items
similarity x (1 - 0.1 x how long ago the last shared item was, in clicks, at most 9) x (1 + log(sessions / sessions of the item)).
The index is of this very moment, so the evolving session is a neighbour of itself: .647 against .621 without, Recall@20 on rsc15.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.baselines.counting import Counting
from models.experts.columns import WINDOW, Columns
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, descending, f4, index_of, select
from models.state import State, scalar

RECENT_SESSIONS = 500
NEIGHBOURS = 100
SESSIONS = 200_000
ITEMS_OF_SESSION = 20
OPEN = 50_000


class VMISKNN(Counting):
    """Sessions are kept in a ring. A transition does not name its session: it is the one that now is as long as the prefix and
    ends as the prefix does (of several alike, any: they are the same so far).
    """

    strategy = "vmis_knn"

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(seed, **options)
        self.items = np.full((SESSIONS, ITEMS_OF_SESSION), -1, np.int32)  # [sessions, 20] in order, the last ones
        self.size = np.zeros(SESSIONS, np.int32)
        self.sessions_of: Ints = np.full((self.memory.capacity, RECENT_SESSIONS), -1, np.int32)  # ring per item
        self.count_of = np.zeros(self.memory.capacity, np.int64)
        self.begun = 0
        self._open: OrderedDict[tuple[int, ...], list[int]] = OrderedDict()
        self._similarity, self._latest = np.zeros(SESSIONS, np.float32), np.zeros(SESSIONS, np.int32)
        self.memory.tell(on_grow=self._grown)

    def _scores(self, columns: Columns, q: int) -> Floats:
        scores = np.zeros(self.memory.vocabulary.height, np.float32)
        vote(
            columns.window[q], self.items, self.size, self.sessions_of, self.count_of, min(self.begun, SESSIONS),
            self._similarity, self._latest, scores,
        )  # fmt: skip
        return scores

    def _counted(self, columns: Columns) -> None:
        for n in range(len(columns.target)):
            window = [x for x in columns.window[n].tolist() if x >= 0]
            length, item = int(columns.length[n]), int(columns.target[n])
            session = self._close((length, *window))
            if session is None:
                session = self.begun % SESSIONS
                self.begun += 1
                self.items[session], self.size[session] = -1, 0
            held = self.items[session, : self.size[session]].tolist()
            if item not in held:
                self.sessions_of[item, self.count_of[item] % RECENT_SESSIONS] = session
                self.count_of[item] += 1
            held = [*held, item][-ITEMS_OF_SESSION:]
            self.items[session, : len(held)], self.size[session] = held, len(held)
            self._open.setdefault((length + 1, item, *window[: WINDOW - 1]), []).append(session)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)

    def _close(self, key: tuple[int, ...]) -> int | None:
        alike = self._open.get(key)
        if not alike:
            return None
        session = alike.pop()
        if not alike:
            del self._open[key]
        return session

    def _forgotten(self, gone: NDArray[np.bool_]) -> None:
        self.sessions_of[gone], self.count_of[gone] = -1, 0
        padded = np.append(gone, False)  # row -1 stands for no item
        for session in np.flatnonzero(padded[self.items].any(1)):
            held = [x for x in self.items[session].tolist() if x >= 0 and not gone[x]]
            self.items[session], self.size[session] = -1, len(held)
            self.items[session, : len(held)] = held
        self._open = OrderedDict((key, held) for key, held in self._open.items() if not any(gone[x] for x in key[1:]))

    def _grown(self, more: int) -> None:
        self.sessions_of = np.concatenate([self.sessions_of, np.full((more, RECENT_SESSIONS), -1, np.int32)])
        self.count_of = np.concatenate([self.count_of, np.zeros(more, np.int64)])

    def state(self) -> dict[str, NDArray[Any]]:
        height, held = self.memory.vocabulary.height, min(self.begun, SESSIONS)
        flat = [[session, len(key), *key] for key, alike in self._open.items() for session in alike]
        own = {"begun": scalar(self.begun), "open": np.array([n for entry in flat for n in entry], np.int64)}
        own |= {"items": self.items[:held], "size": self.size[:held]}
        return super().state() | own | {"sessions_of": self.sessions_of[:height], "count_of": self.count_of[:height]}

    def restore(self, state: State) -> None:
        super().restore(state)
        self.begun = int(state["begun"][0])
        for name in ("items", "size", "sessions_of", "count_of"):
            getattr(self, name)[: len(state[name])] = state[name]
        flat, at = state["open"].tolist(), 0
        while at < len(flat):
            session, length = flat[at], flat[at + 1]
            self._open.setdefault(tuple(flat[at + 2 : at + 2 + length]), []).append(session)
            at += 2 + length


@njit(**KERNEL)
def vote(window, items, size, sessions_of, count_of, sessions, similarity, latest, scores):  # type: ignore[no-untyped-def]
    """Let the neighbours of the evolving session vote. ``similarity`` float32[sessions] is zero, and left so."""
    length = 0
    while length < window.shape[0] and window[length] >= 0:
        length += 1
    found = np.empty(length * sessions_of.shape[1], np.int32)
    n = 0
    for recency in range(length):
        x, again = window[recency], False
        for earlier in range(recency):
            again = again or window[earlier] == x
        if again:
            continue
        share = f4(length - recency) / f4(length)
        for slot in range(min(count_of[x], sessions_of.shape[1])):
            session = sessions_of[x, slot]
            if session < 0:
                continue
            if similarity[session] == ZERO:
                found[n] = session
                latest[session] = recency + 1
                n += 1
            similarity[session] += share
    keys = np.empty(n + 1, np.int64)
    for m in range(n):
        keys[m] = descending(similarity[found[m]], found[m])
    neighbours = min(n, 100)
    if n > neighbours:
        select(keys, n, neighbours)
    for m in range(neighbours):
        session = index_of(keys[m])
        weight = similarity[session] * (ONE - f4(0.1) * f4(min(latest[session], 9)))
        for place in range(size[session]):
            x = items[session, place]
            scores[x] += weight * f4(np.log(f4(sessions) / f4(max(count_of[x], 1))) + 1)
    for m in range(n):
        similarity[found[m]] = ZERO
