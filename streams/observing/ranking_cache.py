"""The latest rankings, in memory. Pure.

A session's next event is tested against its last ranking. Clicks and impressions are attributed to
the ranking that they name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

import msgspec

from streams.sessions.recent import Recent
from streams.sessions.step import SessionName


class Remembered(msgspec.Struct, gc=False):
    """A ranking and the offset of its trigger.

    ``items``, and the items of each expert, are the first 20.
    """

    name: SessionName
    offset: int
    items: Sequence[str]
    strategy: str
    per_expert: Mapping[str, Sequence[str]] | None = None


class Trail:
    """The latest rankings of one partition, ordered by the offset of their trigger.

    A plain list is cheapest: a dict by id would cost more per event than all other counting.
    """

    def __init__(self) -> None:
        self._rankings: list[Remembered] = []

    def add(self, ranking: Remembered) -> None:
        """Append a ranking.

        After an abandoned unit, offsets repeat: the new rankings replace the old.
        """
        rankings = self._rankings
        if rankings and rankings[-1].offset >= ranking.offset:
            del rankings[bisect_left(rankings, ranking.offset, key=_offset) :]
        rankings.append(ranking)

    def cut(self, least: int) -> None:
        """Drop old rankings if there are more than twice ``least``; the latest ``least`` stay."""
        if len(self._rankings) > 2 * least:
            del self._rankings[: len(self._rankings) - least]

    def at(self, offset: int) -> Remembered | None:
        """Return the ranking that the record at this offset triggered, or ``None``."""
        place = bisect_left(self._rankings, offset, key=_offset)
        if place == len(self._rankings) or self._rankings[place].offset != offset:
            return None
        return self._rankings[place]

    def drop(self, names: Set[SessionName]) -> None:
        """Drop the rankings of these sessions."""
        self._rankings = [ranking for ranking in self._rankings if ranking.name not in names]


class RankingCache:
    """The last ranking of up to ``sessions`` sessions, and the latest ``rankings`` of them all.

    Partitions have equal shares of ``rankings``. Each keeps the latest half of its share at least.
    """

    def __init__(self, sessions: int = 100_000, rankings: int = 50_000) -> None:
        self._last: Recent[SessionName, Remembered] = Recent(sessions)
        self._trails: defaultdict[int, Trail] = defaultdict(Trail)
        self._rankings = rankings
        self._forgotten: set[SessionName] = set()

    def last(self, name: SessionName) -> Remembered | None:
        """Return the session's last ranking, or ``None``."""
        return self._last.get(name)

    def triggered(self, partition: int, offset: int) -> Remembered | None:
        """Return the ranking that this record triggered, or ``None``."""
        return self._trails[partition].at(offset) if partition in self._trails else None

    def remember(self, ranking: Remembered) -> None:
        """Add a ranking. The caller calls `purge` after each unit."""
        self._last.put(ranking.name, ranking)
        self._trails[ranking.name[0]].add(ranking)

    def keep(self, partitions: Set[int]) -> None:
        """Drop the rankings of other partitions: their deletions go to other workers now."""
        self._last.keep(lambda name: name[0] in partitions)
        for partition in self._trails.keys() - partitions:
            del self._trails[partition]

    def forget(self, name: SessionName) -> None:
        """Drop every ranking of the session at the next `purge`."""
        self._forgotten.add(name)

    def purge(self) -> None:
        """Drop rankings beyond the bounds, and those of forgotten sessions.

        Call it once per unit.
        """
        for trail in self._trails.values():
            trail.cut(self._rankings // (2 * len(self._trails)))
        if self._forgotten:
            for name in self._forgotten:
                self._last.take(name)
            for trail in self._trails.values():
                trail.drop(self._forgotten)
            self._forgotten.clear()


def _offset(ranking: Remembered) -> int:
    return ranking.offset
