"""Click-through: which recommendation an event or an impression names, and the place of its item there. Pure."""

from __future__ import annotations

from streams.events.records import trigger_of
from streams.observing.accuracy import place_of
from streams.observing.ranking_cache import RankingCache

BUCKETS = ((1, "1"), (3, "2-3"), (5, "4-5"), (10, "6-10"), (20, "11-20"))
_BY_PLACE = (*(next(name for last, name in BUCKETS if place < last) for place in range(BUCKETS[-1][0])), "none")
"""The label of each place, counting from 0; the last is that of `MISSED`, which is -1."""
RANKS = (*(name for _, name in BUCKETS), _BY_PLACE[-1])


def rank_label(place: int) -> str:
    """The bounded label of a place among the first 20, counting from 0, or of `MISSED`."""
    return _BY_PLACE[place]


def attributed(cache: RankingCache, topic: str, recommendation_id: str, item: str) -> tuple[str, str] | None:
    """The strategy, and the label of the item's rank, of the recommendation that is named; ``None`` if it is not remembered.

    ``topic`` is the events topic, which the id begins with.
    """
    trigger = trigger_of(recommendation_id, topic)
    ranking = None if trigger is None else cache.triggered(*trigger)
    return None if ranking is None else (ranking.strategy, rank_label(place_of(item, ranking.items)))
