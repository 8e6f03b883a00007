"""The last rankings, in memory: what a session's next event is tested against, and what clicks and impressions are traced to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.recent import Recent

SessionName = tuple[int, bytes, int]
"""Names one session among all: its partition, its state key and the offset of its first event."""


class Remembered(msgspec.Struct, gc=False):
    """A ranking, triggered by the event at this offset; of the items, and of those of each expert alone, the first 20."""

    name: SessionName
    offset: int
    items: Sequence[str]
    strategy: str
    alone: Mapping[str, Sequence[str]] | None = None


class RankingCache:
    """The last ranking of at most ``sessions`` sessions, and the last ``rankings`` of all."""

    def __init__(self, sessions: int = 100_000, rankings: int = 50_000) -> None:
        self._last: Recent[SessionName, Remembered] = Recent(sessions)
        self._triggered: Recent[tuple[int, int], Remembered] = Recent(rankings)
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
            for name in self._gone:
                self._last.take(name)
            self._triggered.drop(lambda ranking: ranking.name in self._gone)
            self._gone.clear()
