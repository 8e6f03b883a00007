"""Answers to requests for a ranking.

Most answers are cut out of the published bytes. A ranking is decoded and encoded again only if the
request has filters, or if fallbacks must add items.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta
from prometheus_client import Counter

from models.recommender import POPULAR
from serving.state.cache import CachedRanking, LatestRankings
from serving.state.experts import Experts
from serving.state.published import first_items
from serving.state.selection import Filter, select
from serving.state.shelves import Shelves
from serving.state.telemetry import ServingTelemetry
from streams.events.records import RankedItem, Recommendation

DEFAULT_K = 20
MOST_STRATEGIES = 32
"""Maximum number of label values for strategies. Further strategies count as "other"."""


class RankingAnswer(msgspec.Struct, kw_only=True):
    """The ranking of a user or an anonymous session."""

    user_id: Annotated[str, Meta(description="The user or anonymous session of the request.")]
    session_id: Annotated[str | None, Meta(description="The session id of its event; null if that had none.")]
    recommendation_id: Annotated[str, Meta(description="Send it with events, to attribute them to this ranking.")]
    trigger_event_id: Annotated[str, Meta(description="The event that triggered the ranking; empty for popular items.")]
    trigger_offset: Annotated[int, Meta(description="Offset of that event on the events topic; -1 for popular items.")]
    model_version: Annotated[int, Meta(description="Learning steps of the model that ranked.")]
    strategy: Annotated[
        str, Meta(description="The model that ranked the items, for example `hybrid`; `popularity` for an unknown user.")
    ]
    fallback: Annotated[
        list[str],
        Meta(description="What added items after those of the strategy, in order: `experts`, `popularity`, `catalogue`."),
    ]
    generated_at: Annotated[int, Meta(description="When the ranking was made, epoch ms.")]
    prefix: Annotated[list[str], Meta(description="The latest items of the session as the model sees them, oldest first.")]
    items: Annotated[list[RankedItem], Meta(description="The items, best first.")]
    age_ms: Annotated[int, Meta(description="How long ago the ranking was made.")]


class _Item(msgspec.Struct, gc=False):
    item_id: str


class _Items(msgspec.Struct, gc=False):
    items: list[_Item]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Recommendation).decode
_decode_items = msgspec.json.Decoder(_Items).decode


class Answers:
    """Answers from the cache, filtered by the catalogue and completed by the experts.

    Requests call it, on the event loop. ``experts`` is called only once the service is ready.
    ``clock`` is in seconds.
    """

    def __init__(
        self, cache: LatestRankings, shelves: Shelves, experts: Callable[[], Experts], telemetry: ServingTelemetry,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._cache, self._shelves, self._experts, self._telemetry, self._clock = cache, shelves, experts, telemetry, clock
        self._counters: dict[tuple[str, str], Counter] = {}

    def hidden(self) -> frozenset[str]:
        """Return the items that no answer may contain now."""
        return self._shelves.hidden(int(self._clock() * 1000))

    async def for_owner(
        self, owner: str, session_id: str | None = None, k: int = DEFAULT_K, wanted: Filter | None = None, *, seen: bool = True
    ) -> bytes:
        """Return a JSON `RankingAnswer` for a user or an anonymous session, known or unknown.

        Pass ``wanted`` only if the request filters items. If ``seen`` is false, the answer leaves
        out the items of the prefix.
        """
        ranking = self._cache.get(owner, session_id)
        if ranking is not None:
            answer = await self.from_ranking(ranking, owner, k, wanted, seen=seen)
            self._telemetry.ranking_age_seconds.observe(self._clock() - ranking.generated_at / 1000)
            return answer
        if self._cache.popular is not None:
            return await self.from_ranking(self._cache.popular, owner, k, wanted)
        return await self._cold(owner, wanted or Filter(k, self.hidden()))

    async def from_ranking(
        self, ranking: CachedRanking, owner: str, k: int = DEFAULT_K, wanted: Filter | None = None, *, seen: bool = True
    ) -> bytes:
        """Return the JSON `RankingAnswer` of this ranking."""
        if wanted is None and seen and self._shows_nothing_hidden(ranking):
            fields = first_items(ranking.value, k)
            if fields is not None:
                self._count(ranking.strategy, "none")
                return b'{"user_id":%b,%b],"fallback":[],"age_ms":%d}' % (_encode(owner), fields, self._age_ms(ranking))
        published = _decode(ranking.value)
        return await self._selected(published, owner, wanted or Filter(k, self.hidden()), seen=seen, age_ms=self._age_ms(ranking))

    def _shows_nothing_hidden(self, ranking: CachedRanking) -> bool:
        """Tell whether no item of a ranking is hidden.

        The ranking remembers a true result until the set of hidden items changes.
        """
        hidden = self.hidden()
        if not hidden or ranking.clean_of is hidden:
            return True
        if any(item.item_id in hidden for item in _decode_items(ranking.value).items):
            return False
        ranking.clean_of = hidden
        return True

    async def _selected(self, published: Recommendation, owner: str, wanted: Filter, *, seen: bool, age_ms: int) -> bytes:
        if not seen:
            wanted = wanted._replace(excluded=wanted.excluded | frozenset(published.prefix))
        items, fallback = await select(published.items, published.prefix, wanted, self._experts(), self._shelves)
        self._count(published.strategy, fallback[-1] if fallback else "none")
        return _encode(
            RankingAnswer(
                user_id=owner,
                session_id=published.session_id,
                recommendation_id=published.recommendation_id,
                trigger_event_id=published.trigger_event_id,
                trigger_offset=published.trigger_offset,
                model_version=published.model_version,
                strategy=published.strategy,
                fallback=fallback,
                generated_at=published.generated_at,
                prefix=published.prefix,
                items=items,
                age_ms=age_ms,
            )
        )

    async def _cold(self, owner: str, wanted: Filter) -> bytes:
        """Answer with this server's experts until the learner has published a popular ranking."""
        now = int(self._clock() * 1000)
        empty = Recommendation(
            recommendation_id=f"popular-{now}", user_id=None, session_id=None, generated_at=now, trigger_event_id="",
            trigger_offset=-1, model_version=0, strategy=POPULAR, prefix=[], items=[], took_ms=0.0,
        )  # fmt: skip
        return await self._selected(empty, owner, wanted, seen=True, age_ms=0)

    def _age_ms(self, ranking: CachedRanking) -> int:
        return max(int(self._clock() * 1000) - ranking.generated_at, 0)

    def _count(self, strategy: str, fallback: str) -> None:
        counter = self._counters.get((strategy, fallback))
        if counter is None:
            label = strategy if len(self._counters) < MOST_STRATEGIES else "other"
            counter = self._telemetry.rankings.labels(label, fallback)
            if label == strategy:
                self._counters[strategy, fallback] = counter
        counter.inc()
