"""The last rankings, in memory: what a session's next event is tested against, and what clicks and impressions are traced to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")

SessionName = tuple[int, bytes, int]
"""Names one session among all: its partition, its state key and the offset of its first event."""


class Remembered(msgspec.Struct, gc=False):
    """A ranking, triggered by the event at this offset; of the items, and of those of each expert alone, the first 20."""

    name: SessionName
    offset: int
    items: Sequence[str]
    strategy: str
    alone: Mapping[str, Sequence[str]] | None = None


class Turning(Generic[K, V]):
    """A bounded dict of two plain ones that take turns: when the younger is full it becomes the older, whose keys are forgotten.

    So the last ``capacity / 2`` keys are always there, for less than keeping an order of use would cost each event.
    """

    def __init__(self, capacity: int) -> None:
        self._half = max(capacity // 2, 1)
        self._younger: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What is kept of the key."""
        found = self._younger.get(key)
        return self._older.get(key) if found is None else found

    def put(self, key: K, value: V) -> None:
        """Keep it."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger[key] = value

    def drop(self, keys: Sequence[K]) -> None:
        """Forget these keys."""
        for key in keys:
            self._younger.pop(key, None)
            self._older.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        """All that is kept."""
        return [*self._older.items(), *self._younger.items()]


class RankingCache:
    """The last ranking of at most ``sessions`` sessions, and the last ``rankings`` of all."""

    def __init__(self, sessions: int = 100_000, rankings: int = 50_000) -> None:
        self._last = Turning[SessionName, Remembered](sessions)
        self._triggered = Turning[tuple[int, int], Remembered](rankings)
        self._gone: set[SessionName] = set()

    def last(self, name: SessionName) -> Remembered | None:
        """The session's last ranking."""
        return self._last.get(name)

    def triggered(self, partition: int, offset: int) -> Remembered | None:
        """The ranking that this record triggered."""
        return self._triggered.get((partition, offset))

    def remember(self, ranking: Remembered) -> None:
        """Keep a ranking."""
        self._last.put(ranking.name, ranking)
        self._triggered.put((ranking.name[0], ranking.offset), ranking)

    def forget(self, name: SessionName) -> None:
        """Every ranking of the session is to go at the next `purge`."""
        self._gone.add(name)

    def purge(self) -> None:
        """Drop the rankings of forgotten sessions, in one pass for all of them."""
        if self._gone:
            self._last.drop(list(self._gone))
            self._triggered.drop([key for key, ranking in self._triggered.items() if ranking.name in self._gone])
            self._gone.clear()
