"""A ranking as it is answered. The plain answer is encoded once per ranking: a request then adds the id asked for and the age."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from models.recommender import POPULAR
from serving.cache import CachedRanking, RankingCache
from serving.experts import Experts
from serving.selection import Filter, select
from serving.shelves import Shelves
from serving.telemetry import ServingTelemetry
from streams.records import RankedItem, Recommendation

log = structlog.get_logger(__name__)

DEFAULT_K = 20
MOST_STRATEGIES = 32
"""A label's values stay bounded, whatever the topic holds."""
_HEAD, _TAIL = len(b'{"user_id":""'), len(b"0}")


class RankingAnswer(msgspec.Struct, kw_only=True):
    """The ranking of a user or an anonymous session.

    ``strategy`` ranked the items, and ``fallback`` those behind them where a filter had left too few. ``prefix`` is the session
    as the model sees it, oldest first. Times are epoch ms; ``age_ms`` is how long ago the ranking was made.
    """

    user_id: str
    session_id: str | None
    recommendation_id: str
    trigger_event_id: str
    trigger_offset: int
    model_version: int
    strategy: str
    fallback: list[str]
    generated_at: int
    prefix: list[str]
    items: list[RankedItem]
    age_ms: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Recommendation).decode


class Answers:
    """Answers from the cache, filtered by the catalogue and filled up by the experts. ``clock`` is in seconds."""

    def __init__(
        self, cache: RankingCache, shelves: Shelves, experts: Callable[[], Experts], telemetry: ServingTelemetry,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._cache, self._shelves, self._experts, self._telemetry, self._clock = cache, shelves, experts, telemetry, clock
        self._counters: dict[tuple[str, str], Any] = {}

    async def of(
        self, owner: str, session_id: str | None = None, k: int = DEFAULT_K, wanted: Filter | None = None, *, seen: bool = True
    ) -> bytes:
        """The answer for somebody of whom nothing may be known.

        ``wanted`` is given where something is filtered out or in; without ``seen`` the items of the prefix are left out.
        """
        ranking = self._cache.get(owner, session_id)
        if ranking is not None:
            found = await self.by(ranking, owner, k, wanted, seen=seen)
            if found is not None:
                self._telemetry.ranking_age_seconds.observe(max(self._clock() - ranking.generated_at / 1000, 0.0))
                return found
        popular = self._cache.popular
        found = None if popular is None else await self.by(popular, owner, k, wanted)
        return found if found is not None else await self._cold(owner, wanted or Filter(k, self._shelves.hidden))

    async def by(
        self, ranking: CachedRanking, owner: str, k: int = DEFAULT_K, wanted: Filter | None = None, *, seen: bool = True
    ) -> bytes | None:
        """The answer by this ranking; ``None`` where it cannot be read."""
        hidden, plain = self._shelves.hidden, wanted is None and seen
        if plain and ranking.answered_for is hidden and ranking.answered_k == k:
            middle = ranking.answer
            self._count(ranking.strategy, "none")
        else:
            try:
                told = _decode(ranking.value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("no_ranking", partition=ranking.partition, offset=ranking.offset)
                self._telemetry.refused_records.labels("recommendations").inc()
                self._cache.drop(ranking)
                return None
            middle, fallback = await self._middle(told, wanted or Filter(k, hidden), seen=seen)
            self._count(told.strategy, fallback)
            if plain and fallback == "none":
                ranking.answer, ranking.strategy = middle, told.strategy
                ranking.answered_for, ranking.answered_k = hidden, k
        age_ms = max(int(self._clock() * 1000) - ranking.generated_at, 0)
        return b'{"user_id":%b%b%d}' % (_encode(owner), middle, age_ms)

    async def _middle(self, told: Recommendation, wanted: Filter, *, seen: bool) -> tuple[bytes, str]:
        """An answer between the id and the age, and its last fallback, or ``none``."""
        if not seen:
            wanted = wanted._replace(excluded=wanted.excluded | frozenset(told.prefix))
        items, fallback = await select(told.items, told.prefix, wanted, self._experts(), self._shelves)
        answer = RankingAnswer(
            user_id="",
            session_id=told.session_id,
            recommendation_id=told.recommendation_id,
            trigger_event_id=told.trigger_event_id,
            trigger_offset=told.trigger_offset,
            model_version=told.model_version,
            strategy=told.strategy,
            fallback=fallback,
            generated_at=told.generated_at,
            prefix=told.prefix,
            items=items,
            age_ms=0,
        )
        return _encode(answer)[_HEAD:-_TAIL], fallback[-1] if fallback else "none"

    async def _cold(self, owner: str, wanted: Filter) -> bytes:
        """Before the learner has published what is popular, the experts of this process tell it."""
        now = int(self._clock() * 1000)
        told = Recommendation(
            recommendation_id=f"popular-{now}", user_id=None, session_id=None, generated_at=now, trigger_event_id="",
            trigger_offset=-1, model_version=0, strategy=POPULAR, prefix=[], items=[], took_ms=0.0,
        )  # fmt: skip
        middle, fallback = await self._middle(told, wanted, seen=True)
        self._count(told.strategy, fallback)
        return b'{"user_id":%b%b0}' % (_encode(owner), middle)

    def _count(self, strategy: str, fallback: str) -> None:
        counter = self._counters.get((strategy, fallback))
        if counter is None:
            told = strategy if len(self._counters) < MOST_STRATEGIES else "other"
            counter = self._telemetry.rankings.labels(told, fallback)
            if told == strategy:
                self._counters[strategy, fallback] = counter
        counter.inc()
