"""Click-through: the recommendation that an event names, and the rank of its item there. Pure."""

from __future__ import annotations

from streams.events.records import trigger_of
from streams.observing.accuracy import place_of
from streams.observing.ranking_cache import RankingCache

# The last place of each bucket of ranks, counting from 1, and its label.
BUCKETS = ((1, "1"), (3, "2-3"), (5, "4-5"), (10, "6-10"), (20, "11-20"))
_BY_PLACE = (*(next(name for last, name in BUCKETS if place < last) for place in range(BUCKETS[-1][0])), "none")
"""The label of each place, counting from 0. The last is the label of `MISSED`, which is -1."""
RANKS = (*(name for _, name in BUCKETS), _BY_PLACE[-1])


def rank_label(place: int) -> str:
    """Return the label of a place, counting from 0 and below 20, or of `MISSED`."""
    return _BY_PLACE[place]


def attributed(cache: RankingCache, topic: str, recommendation_id: str, item: str) -> tuple[str, str] | None:
    """Return the strategy of the named recommendation and the label of the item's rank in it.

    Returns ``None`` if the recommendation is not in the cache. ``topic`` is the events topic, whose
    name begins the ids of recommendations.
    """
    trigger = trigger_of(recommendation_id, topic)
    ranking = None if trigger is None else cache.triggered(*trigger)
    return None if ranking is None else (ranking.strategy, rank_label(place_of(item, ranking.items)))
