"""The latest ranking of every user and anonymous session, bounded: the oldest goes first. Pure: no Kafka, no clock."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.replica import POPULAR_KEY
from streams.sessions import OPEN_SESSIONS


class _Head(msgspec.Struct, gc=False):
    """What is asked of every record; the rest of it stays bytes."""

    trigger_offset: int
    trigger_event_id: str
    generated_at: int
    user_id: str | None = None
    session_id: str | None = None


class CachedRanking(msgspec.Struct, gc=False, eq=False):
    """A published ranking. ``owner`` is its user, or its session where the user is unknown; ``value`` is as published.

    ``partition`` is the one of its event too; ``offset`` is its own; ``generated_at`` is epoch ms. ``answer`` is the start of the
    plain answer, encoded when it is first asked for, as things were at ``answered_for``.
    """

    owner: str
    session_id: str | None
    partition: int
    offset: int
    trigger_offset: int
    trigger_event_id: str
    generated_at: int
    value: bytes
    answer: bytes = b""
    answered_for: int = -1


_head = msgspec.json.Decoder(_Head).decode


class NoRanking(Exception):
    """A record that is no ranking."""


class RankingCache:
    """Rankings by owner, of the last few sessions each, the newest first. At most ``capacity`` in all."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.popular: CachedRanking | None = None
        """The ranking for whom nothing is known of."""
        self.rankings = self.evicted = 0
        self._of: dict[str, tuple[CachedRanking, ...]] = {}

    def __len__(self) -> int:
        return len(self._of)

    def get(self, owner: str, session_id: str | None = None) -> CachedRanking | None:
        """The ranking of this session where there is one, or else the latest."""
        held = self._of.get(owner)
        if held is None:
            return None
        if session_id is not None:
            for ranking in held:
                if ranking.session_id == session_id:
                    return ranking
        return held[0]

    def all_of(self, owner: str) -> tuple[CachedRanking, ...]:
        """Every ranking of this owner."""
        return self._of.get(owner, ())

    def take(self, record: Any) -> CachedRanking | None:
        """Take a record of the recommendations topic; returns the ranking it brought, if it did. Raises `NoRanking`."""
        if record.value is None:
            self._removed(record)
            return None
        try:
            head = _head(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoRanking(str(error)) from error
        owner = head.user_id if head.user_id is not None else head.session_id
        if record.key == POPULAR_KEY:
            owner = POPULAR_KEY.decode()
        elif owner is None:
            raise NoRanking("neither user_id nor session_id")
        ranking = CachedRanking(
            owner, head.session_id, record.partition, record.offset, head.trigger_offset, head.trigger_event_id,
            head.generated_at, record.value,
        )  # fmt: skip
        if record.key == POPULAR_KEY:
            self.popular = ranking
            return None
        self.put(ranking)
        return ranking

    def put(self, ranking: CachedRanking) -> None:
        """Keep a ranking, its owner's latest from now on.

        Within a partition the log's order decides. Between partitions there is none, so an older ranking comes behind.
        """
        before = self._of.pop(ranking.owner, ())
        others = [held for held in before if held.session_id != ranking.session_id]
        for held in before:
            if held.session_id == ranking.session_id and _is_newer(held, ranking):
                ranking = held
        place = 0
        while place < len(others) and _is_newer(others[place], ranking):
            place += 1
        others.insert(place, ranking)
        kept = tuple(others[:OPEN_SESSIONS])
        self._of[ranking.owner] = kept
        self.rankings += len(kept) - len(before)
        while self.rankings > self.capacity:
            oldest = next(iter(self._of))
            if oldest == ranking.owner:  # alone, with more sessions than there is room for
                kept = self._of[oldest]
                self._of[oldest] = kept[: self.capacity]
                gone = len(kept) - self.capacity
            else:
                gone = len(self._of.pop(oldest))
            self.rankings -= gone
            self.evicted += gone

    def forget(self, owner: str, partition: int | None = None) -> None:
        """Remove an owner's rankings, all of them or those of one partition."""
        before = self._of.get(owner)
        if before is None:
            return
        kept = () if partition is None else tuple(held for held in before if held.partition != partition)
        self.rankings -= len(before) - len(kept)
        if kept:
            self._of[owner] = kept
        else:
            del self._of[owner]

    def _removed(self, record: Any) -> None:
        try:
            self.forget((record.key or b"").decode(), record.partition)
        except UnicodeDecodeError:
            raise NoRanking("a key that is no UTF-8") from None


def _is_newer(held: CachedRanking, than: CachedRanking) -> bool:
    return held.partition != than.partition and held.generated_at > than.generated_at
