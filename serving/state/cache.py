"""The latest ranking of every user and anonymous session, bounded: the oldest goes first. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any

import msgspec

from streams.errors import BadData
from streams.kafka.decoding import decoded
from streams.learning.replica import POPULAR_KEY
from streams.sessions.step import OPEN_SESSIONS

DELETIONS = 10_000
"""Deletions that are remembered until the worker has come to them; more at a time are not expected."""


class _Head(msgspec.Struct, gc=False):
    """What is asked of every record; the rest of it stays bytes."""

    trigger_offset: int
    trigger_event_id: str
    generated_at: int
    strategy: str
    user_id: str | None = None
    session_id: str | None = None


class CachedRanking(msgspec.Struct, gc=False, eq=False):
    """A published ranking. ``owner`` is its user, or its session where the user is unknown; ``value`` is as published.

    ``partition`` is the one of its event too; ``offset`` is its own; ``generated_at`` is epoch ms. ``clean_of`` is noted by
    whoever finds that none of these items is in it.
    """

    owner: str
    session_id: str | None
    partition: int
    offset: int
    trigger_offset: int
    trigger_event_id: str
    generated_at: int
    strategy: str
    value: bytes
    clean_of: frozenset[str] | None = None

    @property
    def event_id(self) -> str:
        """Its name in a stream of server-sent events."""
        return f"{self.partition}-{self.offset}"


_head = msgspec.json.Decoder(_Head).decode


class NoRanking(BadData):
    """A record that is no ranking."""


class LatestRankings:
    """Rankings by owner, of the last few sessions each, the newest first. At most ``capacity`` in all."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.popular: CachedRanking | None = None
        """The ranking for whom nothing is known of."""
        self.rankings = self.evicted = 0
        self._of: dict[str, tuple[CachedRanking, ...]] = {}
        self._deleted: dict[str, dict[int, int]] = {}

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
        head = decoded(_head, record.value, NoRanking)
        owner = head.user_id if head.user_id is not None else head.session_id
        if record.key == POPULAR_KEY:
            owner = POPULAR_KEY.decode()
        elif owner is None:
            raise NoRanking("missing_field", "user_id or session_id")
        ranking = CachedRanking(
            owner, head.session_id, record.partition, record.offset, head.trigger_offset, head.trigger_event_id,
            head.generated_at, intern(head.strategy), record.value,
        )  # fmt: skip
        if record.key == POPULAR_KEY:
            self.popular = ranking
            return None
        return ranking if self.put(ranking) else None

    def put(self, ranking: CachedRanking) -> bool:
        """Keep a ranking, its owner's latest from now on; returns whether it is not for an event of before he was deleted.

        Within a partition the log's order decides. Between partitions there is none, so an older ranking comes behind.
        """
        deleted = self._deleted.get(ranking.owner)
        if deleted is not None and ranking.trigger_offset < deleted.get(ranking.partition, -1):
            return False
        before = self._of.pop(ranking.owner, ())
        for held in before:
            if held.session_id == ranking.session_id and _is_newer(held, ranking):
                ranking = held
        kept = [held for held in before if held.session_id != ranking.session_id]
        kept.insert(sum(_is_newer(held, ranking) for held in kept), ranking)
        self._of[ranking.owner] = tuple(kept[: min(OPEN_SESSIONS, self.capacity)])
        self.rankings += len(self._of[ranking.owner]) - len(before)
        while self.rankings > self.capacity:
            gone = len(self._of.pop(next(iter(self._of))))
            self.rankings -= gone
            self.evicted += gone
        return True

    def forget(self, owner: str, deleted_at: Mapping[int, int]) -> None:
        """Remove an owner's rankings; those of events before these offsets, by partition, that are still on their way too."""
        self._keep(owner, ())
        self._deleted.pop(owner, None)
        self._deleted[owner] = dict(deleted_at)
        if len(self._deleted) > DELETIONS:
            del self._deleted[next(iter(self._deleted))]

    def drop(self, ranking: CachedRanking) -> None:
        """Remove one that turned out to be none."""
        if ranking is self.popular:
            self.popular = None
        self._keep(ranking.owner, tuple(held for held in self.all_of(ranking.owner) if held is not ranking))

    def _removed(self, record: Any) -> None:
        """The worker has deleted whom this key names: his rankings of this partition go, and newer ones may come."""
        try:
            owner = (record.key or b"").decode()
        except UnicodeDecodeError:
            raise NoRanking("not_utf8", "the key") from None
        self._keep(owner, tuple(held for held in self.all_of(owner) if held.partition != record.partition))
        expected = self._deleted.get(owner, {})
        expected.pop(record.partition, None)
        if not expected:
            self._deleted.pop(owner, None)

    def _keep(self, owner: str, kept: tuple[CachedRanking, ...]) -> None:
        self.rankings -= len(self.all_of(owner)) - len(kept)
        if kept:
            self._of[owner] = kept
        else:
            self._of.pop(owner, None)


def _is_newer(held: CachedRanking, than: CachedRanking) -> bool:
    return held.partition != than.partition and held.generated_at > than.generated_at
