"""Freshness: how old an event is when its recommendation is published. Pure of HTTP and Kafka."""

from __future__ import annotations

from collections import Counter, deque

UNMATCHED = 200_000
"""Maximum number of events, and of recommendations, that wait for their counterpart."""
RECENT = 2000
"""Number of the latest recommendations in the recent percentiles."""


class Freshness:
    """Joins recommendations to their triggers by partition and offset, in either order.

    Freshness is the Kafka time of the recommendation minus the Kafka time of its trigger, in ms:
    the time between the two producers' sends. It does not use the observer's clock, so a slow
    observer does not distort it. It does not include the round trip that publishes the
    recommendation; the worker's own histogram does. Memory is bounded: percentiles come from a
    count per whole millisecond, and the oldest unmatched records are dropped.
    """

    def __init__(self) -> None:
        self._events: dict[tuple[int, int], int] = {}
        self._recommendations: dict[tuple[int, int], int] = {}
        self._all: Counter[int] = Counter()
        self._recent: deque[int] = deque(maxlen=RECENT)

    def event(self, partition: int, offset: int, kafka_time: int) -> None:
        """Take an event; ``kafka_time`` is epoch ms."""
        published = self._recommendations.pop((partition, offset), None)
        if published is None:
            _remember(self._events, (partition, offset), kafka_time)
        else:
            self._sample(published - kafka_time)

    def recommendation(self, partition: int, trigger_offset: int, kafka_time: int) -> None:
        """Take a recommendation; ``kafka_time`` is epoch ms."""
        triggered = self._events.pop((partition, trigger_offset), None)
        if triggered is None:
            _remember(self._recommendations, (partition, trigger_offset), kafka_time)
        else:
            self._sample(kafka_time - triggered)

    @property
    def recent_samples(self) -> int:
        """The number of recommendations in `recent`."""
        return len(self._recent)

    def percentile(self, share: float) -> float | None:
        """Return a percentile over the whole run, in ms, or ``None`` without samples.

        ``share`` is from 0 to 1: 0.5 is the median.
        """
        return _percentile(self._all, share)

    def recent(self, share: float) -> float | None:
        """Return the same percentile over the latest 2000 recommendations."""
        return _percentile(Counter(self._recent), share)

    def _sample(self, milliseconds: int) -> None:
        self._all[milliseconds] += 1
        self._recent.append(milliseconds)


def _remember(unmatched: dict[tuple[int, int], int], key: tuple[int, int], kafka_time: int) -> None:
    unmatched[key] = kafka_time
    if len(unmatched) > UNMATCHED:
        del unmatched[next(iter(unmatched))]


def _percentile(counts: Counter[int], share: float) -> float | None:
    """Return the nearest-rank percentile: the smallest value with this share at or below it."""
    remaining = share * counts.total()
    for value in sorted(counts):
        remaining -= counts[value]
        if remaining <= 0:
            return float(value)
    return None
