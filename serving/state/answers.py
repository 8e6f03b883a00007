"""A ranking as it is answered: the plain answer by cutting what was published, any other by selecting and encoding."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from models.recommender import POPULAR
from serving.state.cache import CachedRanking, LatestRankings
from serving.state.experts import Experts
from serving.state.published import first_items
from serving.state.selection import Filter, select
from serving.state.shelves import Shelves
from serving.state.telemetry import ServingTelemetry
from streams.errors import BadData
from streams.events.records import RankedItem, Recommendation
from streams.kafka.decoding import decoded

log = structlog.get_logger(__name__)

DEFAULT_K = 20
MOST_STRATEGIES = 32
"""A label's values stay bounded, whatever the topic holds."""


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


class _Item(msgspec.Struct, gc=False):
    item_id: str


class _Items(msgspec.Struct, gc=False):
    items: list[_Item]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Recommendation).decode
_decode_items = msgspec.json.Decoder(_Items).decode


class Answers:
    """Answers from the cache, filtered by the catalogue and filled up by the experts. ``clock`` is in seconds."""

    def __init__(
        self, cache: LatestRankings, shelves: Shelves, experts: Callable[[], Experts], telemetry: ServingTelemetry,
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
                self._telemetry.ranking_age_seconds.observe((max(self._clock() - ranking.generated_at / 1000, 0.0),))
                return found
        popular = self._cache.popular
        found = None if popular is None else await self.by(popular, owner, k, wanted)
        return found if found is not None else await self._cold(owner, wanted or Filter(k, self._shelves.hidden))

    async def by(
        self, ranking: CachedRanking, owner: str, k: int = DEFAULT_K, wanted: Filter | None = None, *, seen: bool = True
    ) -> bytes | None:
        """The answer by this ranking; ``None`` where it cannot be read."""
        try:
            if wanted is None and seen and self._shows_nothing_hidden(ranking):
                found = first_items(ranking.value, k)
                if found is not None:
                    self._count(ranking.strategy, "none")
                    return b'{"user_id":%b,%b],"fallback":[],"age_ms":%d}' % (_encode(owner), found, self._age_ms(ranking))
            told = decoded(_decode, ranking.value)
        except BadData:
            log.warning("no_ranking", partition=ranking.partition, offset=ranking.offset)
            self._telemetry.refused_records.labels("recommendations").inc()
            self._cache.drop(ranking)
            return None
        return await self._selected(
            told, owner, wanted or Filter(k, self._shelves.hidden), seen=seen, age_ms=self._age_ms(ranking)
        )

    def _shows_nothing_hidden(self, ranking: CachedRanking) -> bool:
        """Whether no item of a ranking is hidden now. What was found holds until other items are hidden."""
        hidden = self._shelves.hidden
        if not hidden or ranking.clean_of is hidden:
            return True
        if any(item.item_id in hidden for item in decoded(_decode_items, ranking.value).items):
            return False
        ranking.clean_of = hidden
        return True

    async def _selected(self, told: Recommendation, owner: str, wanted: Filter, *, seen: bool, age_ms: int) -> bytes:
        if not seen:
            wanted = wanted._replace(excluded=wanted.excluded | frozenset(told.prefix))
        items, fallback = await select(told.items, told.prefix, wanted, self._experts(), self._shelves)
        self._count(told.strategy, fallback[-1] if fallback else "none")
        return _encode(
            RankingAnswer(
                user_id=owner,
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
                age_ms=age_ms,
            )
        )

    async def _cold(self, owner: str, wanted: Filter) -> bytes:
        """Before the learner has published what is popular, the experts of this process tell it."""
        now = int(self._clock() * 1000)
        told = Recommendation(
            recommendation_id=f"popular-{now}", user_id=None, session_id=None, generated_at=now, trigger_event_id="",
            trigger_offset=-1, model_version=0, strategy=POPULAR, prefix=[], items=[], took_ms=0.0,
        )  # fmt: skip
        return await self._selected(told, owner, wanted, seen=True, age_ms=0)

    def _age_ms(self, ranking: CachedRanking) -> int:
        return max(int(self._clock() * 1000) - ranking.generated_at, 0)

    def _count(self, strategy: str, fallback: str) -> None:
        counter = self._counters.get((strategy, fallback))
        if counter is None:
            told = strategy if len(self._counters) < MOST_STRATEGIES else "other"
            counter = self._telemetry.rankings.labels(told, fallback)
            if told == strategy:
                self._counters[strategy, fallback] = counter
        counter.inc()
