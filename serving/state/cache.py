"""The latest ranking of every user and anonymous session.

It is bounded: the least recently updated rankings are evicted first. Pure: no Kafka, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import getsizeof, intern

import msgspec

from streams.errors import BadData
from streams.events.records import POPULAR_KEY, Recommendation
from streams.kafka.decoding import decoded
from streams.sessions.step import OPEN_SESSIONS
from streams.wire.record import KafkaRecord

DELETIONS = 10_000
"""Maximum number of deletions that are remembered until the workers have processed them."""
ENTRY_BYTES = 500
"""Memory of a ranking's entry besides its texts: the struct, its numbers, its place in the dict."""


class CachedRanking(msgspec.Struct, gc=False, eq=False):
    """A published ranking. ``owner`` is its user, or its session if the user is unknown.

    ``partition`` and ``offset`` are its position on the recommendations topic; its trigger has the
    same partition number on the events topic. ``generated_at`` is epoch ms. ``value`` is the value
    of the record, as it was published.
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
    """The hidden items with which it was last compared. It contains none of them."""

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes.

        A text takes up to four times the memory that its UTF-8 needs, so the texts count as Python
        stores them.
        """
        texts = getsizeof(self.owner) + getsizeof(self.session_id) + getsizeof(self.trigger_event_id)
        return ENTRY_BYTES + texts + getsizeof(self.value)

    @property
    def event_id(self) -> str:
        """Its id in a stream of server-sent events."""
        return f"{self.partition}-{self.offset}"


_decode = msgspec.json.Decoder(Recommendation).decode


class NoRanking(BadData):
    """A record of the recommendations topic that is not a ranking."""


class LatestRankings:
    """The rankings of each owner's latest sessions, latest first.

    They are at most ``capacity`` in all, and take at most ``most_bytes`` of memory: the number
    alone would not bound the memory, because the length of a ranking depends on its ids.

    The service calls `take` with each record of the recommendations topic; requests call the rest.
    All of them run on one event loop.
    """

    def __init__(self, capacity: int, most_bytes: int = 1 << 40) -> None:
        self.capacity, self.most_bytes = capacity, most_bytes
        self.popular: CachedRanking | None = None
        """The ranking for users without history."""
        self.rankings = self.bytes = self.evicted = 0
        self._of: dict[str, tuple[CachedRanking, ...]] = {}
        self._deleted: dict[str, dict[int, int]] = {}
        """By deleted owner and partition: the offset of the deletion among the events."""

    def __len__(self) -> int:
        return len(self._of)

    def get(self, owner: str, session_id: str | None = None) -> CachedRanking | None:
        """Return the ranking of this session if there is one, otherwise the owner's latest."""
        rankings = self._of.get(owner)
        if rankings is None:
            return None
        if session_id is not None:
            for ranking in rankings:
                if ranking.session_id == session_id:
                    return ranking
        return rankings[0]

    def all_of(self, owner: str) -> tuple[CachedRanking, ...]:
        """Return every ranking of an owner, latest first."""
        return self._of.get(owner, ())

    def take(self, record: KafkaRecord) -> CachedRanking | None:
        """Apply a record of the recommendations topic.

        Returns the ranking if it was stored as one of an owner's, and ``None`` for a deletion, for
        the popular ranking, and for a ranking of an event that precedes its owner's deletion.
        Raises `NoRanking`.
        """
        if record.value is None:
            self._removed(record)
            return None
        # Decoded whole though only its bytes are kept, so a damaged ranking replaces no intact one.
        published = decoded(_decode, record.value, NoRanking)
        owner = published.user_id if published.user_id is not None else published.session_id
        if record.key == POPULAR_KEY:
            owner = POPULAR_KEY.decode()
        elif owner is None:
            raise NoRanking("missing_field", "user_id or session_id")
        ranking = CachedRanking(
            owner, published.session_id, record.partition, record.offset, published.trigger_offset,
            published.trigger_event_id, published.generated_at, intern(published.strategy), record.value,
        )  # fmt: skip
        if record.key == POPULAR_KEY:
            self.popular = ranking
            return None
        return ranking if self.put(ranking) else None

    def put(self, ranking: CachedRanking) -> bool:
        """Store a ranking as its owner's latest.

        Returns False if its event precedes the owner's deletion. Within a partition, the order of
        the log decides which ranking is later. Partitions have no common order, so between them the
        time of generation decides.
        """
        deleted = self._deleted.get(ranking.owner)
        if deleted is not None and ranking.trigger_offset < deleted.get(ranking.partition, -1):
            return False
        before = self._of.pop(ranking.owner, ())
        for other in before:
            if other.session_id == ranking.session_id and _is_newer(other, ranking):
                ranking = other
        kept = [other for other in before if other.session_id != ranking.session_id]
        kept.insert(sum(_is_newer(other, ranking) for other in kept), ranking)
        self._of[ranking.owner] = now = tuple(kept[: min(OPEN_SESSIONS, self.capacity)])
        self._count(now, before)
        while self.rankings > self.capacity or self.bytes > self.most_bytes:
            evicted = self._of.pop(next(iter(self._of)))
            self._count((), evicted)
            self.evicted += len(evicted)
        return True

    @property
    def deletions(self) -> int:
        """How many owners are deleted while older rankings of theirs may still arrive."""
        return len(self._deleted)

    def forget(self, owner: str, deleted_at: Mapping[int, int]) -> None:
        """Remove the rankings of a deleted user.

        From then on, `put` ignores rankings that workers publish for earlier events. ``deleted_at``
        has the offset of the deletion on each partition of the events topic.
        """
        self._keep(owner, ())
        self._deleted.pop(owner, None)
        self._deleted[owner] = dict(deleted_at)
        if len(self._deleted) > DELETIONS:
            del self._deleted[next(iter(self._deleted))]

    def _removed(self, record: KafkaRecord) -> None:
        """Apply a worker's deletion of an owner on one partition.

        This removes the owner's rankings of this partition. `take` stores later ones as usual.
        """
        try:
            owner = (record.key or b"").decode()
        except UnicodeDecodeError:
            raise NoRanking("not_utf8", "the key") from None
        self._keep(owner, tuple(ranking for ranking in self.all_of(owner) if ranking.partition != record.partition))
        expected = self._deleted.get(owner, {})
        expected.pop(record.partition, None)
        if not expected:
            self._deleted.pop(owner, None)

    def _keep(self, owner: str, kept: tuple[CachedRanking, ...]) -> None:
        self._count(kept, self.all_of(owner))
        if kept:
            self._of[owner] = kept
        else:
            self._of.pop(owner, None)

    def _count(self, now: tuple[CachedRanking, ...], before: tuple[CachedRanking, ...]) -> None:
        """Count the rankings and the memory of an owner whose rankings changed."""
        self.rankings += len(now) - len(before)
        self.bytes += sum(ranking.size for ranking in now) - sum(ranking.size for ranking in before)


def _is_newer(one: CachedRanking, other: CachedRanking) -> bool:
    return one.partition != other.partition and one.generated_at > other.generated_at
