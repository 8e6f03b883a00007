"""The last rankings, in memory: what a session's next event is tested against, and what clicks and impressions are traced to."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

import msgspec

from streams.sessions.recent import Recent
from streams.sessions.step import SessionName


class Remembered(msgspec.Struct, gc=False):
    """A ranking, triggered by the event at this offset; of the items, and of those of each expert alone, the first 20."""

    name: SessionName
    offset: int
    items: Sequence[str]
    strategy: str
    per_expert: Mapping[str, Sequence[str]] | None = None


class Trail:
    """The last rankings of one partition, by the offset of what triggered them.

    A plain list, as to file each of them by name would cost an event more than all else that is counted of it.
    """

    def __init__(self) -> None:
        self._rankings: list[Remembered] = []

    def add(self, ranking: Remembered) -> None:
        """Keep a ranking. Offsets rise, but where a unit was given up some come again, and the newer holds."""
        held = self._rankings
        if held and held[-1].offset >= ranking.offset:
            del held[bisect_left(held, ranking.offset, key=_offset) :]
        held.append(ranking)

    def cut(self, least: int) -> None:
        """Keep the last ``least`` at least, and at most twice as many."""
        if len(self._rankings) > 2 * least:
            del self._rankings[: len(self._rankings) - least]

    def at(self, offset: int) -> Remembered | None:
        """The ranking that this offset triggered."""
        place = bisect_left(self._rankings, offset, key=_offset)
        found = self._rankings[place : place + 1]
        return found[0] if found and found[0].offset == offset else None

    def drop(self, names: Set[SessionName]) -> None:
        """Hold none of these sessions any longer."""
        self._rankings = [ranking for ranking in self._rankings if ranking.name not in names]


class RankingCache:
    """The last ranking of at most ``sessions`` sessions, and of all of them at most ``rankings``, shared by the partitions alike.

    Of each partition that is the last half of its share at least.
    """

    def __init__(self, sessions: int = 100_000, rankings: int = 50_000) -> None:
        self._last: Recent[SessionName, Remembered] = Recent(sessions)
        self._trails: defaultdict[int, Trail] = defaultdict(Trail)
        self._rankings = rankings
        self._gone: set[SessionName] = set()

    def last(self, name: SessionName) -> Remembered | None:
        """The session's last ranking."""
        return self._last.get(name)

    def triggered(self, partition: int, offset: int) -> Remembered | None:
        """The ranking that this record triggered."""
        return self._trails[partition].at(offset) if partition in self._trails else None

    def remember(self, ranking: Remembered) -> None:
        """Keep a ranking."""
        self._last.put(ranking.name, ranking)
        self._trails[ranking.name[0]].add(ranking)

    def keep(self, partitions: Set[int]) -> None:
        """Drop what belongs to other partitions: whoever has them now is told of deletions."""
        self._last.keep(lambda name: name[0] in partitions)
        for partition in self._trails.keys() - partitions:
            del self._trails[partition]

    def forget(self, name: SessionName) -> None:
        """Every ranking of the session is to go at the next `purge`."""
        self._gone.add(name)

    def purge(self) -> None:
        """Once a unit: drop what is beyond the bounds, and the rankings of forgotten sessions, in one pass for all of them."""
        for trail in self._trails.values():
            trail.cut(self._rankings // (2 * len(self._trails)))
        if self._gone:
            for name in self._gone:
                self._last.take(name)
            for trail in self._trails.values():
                trail.drop(self._gone)
            self._gone.clear()


def _offset(ranking: Remembered) -> int:
    return ranking.offset
