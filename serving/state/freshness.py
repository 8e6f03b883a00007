"""How old an event is when its recommendation is there."""

from __future__ import annotations

from collections import Counter, deque

HELD = 200_000
RECENT = 2000


class Freshness:
    """Joins recommendations to their triggers by partition and offset, in whichever order the two are seen.

    Freshness is the Kafka time of the recommendation less the Kafka time of its trigger, in ms: what passed between
    the two producers' sends. It needs no clock of the observer's, so a slow observer does not spoil it; the round trip
    that publishes the recommendation is not in it (the worker's own histogram has it). Memory is bounded: percentiles
    come from a count per whole millisecond, and of unmatched records the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._events: dict[tuple[int, int], int] = {}
        self._recommendations: dict[tuple[int, int], int] = {}
        self._all: Counter[int] = Counter()
        self._recent: deque[int] = deque(maxlen=RECENT)

    def event(self, partition: int, offset: int, kafka_time: int) -> None:
        """An event was seen; ``kafka_time`` is epoch ms."""
        published = self._recommendations.pop((partition, offset), None)
        if published is None:
            _hold(self._events, (partition, offset), kafka_time)
        else:
            self._sample(published - kafka_time)

    def recommendation(self, partition: int, trigger_offset: int, kafka_time: int) -> None:
        """A recommendation was seen."""
        triggered = self._events.pop((partition, trigger_offset), None)
        if triggered is None:
            _hold(self._recommendations, (partition, trigger_offset), kafka_time)
        else:
            self._sample(kafka_time - triggered)

    @property
    def recent_samples(self) -> int:
        """How many `recent` goes by."""
        return len(self._recent)

    def percentile(self, share: float) -> float | None:
        """Over the whole run; ``share`` in 0..1. ``None`` without samples."""
        return _percentile(self._all, share)

    def recent(self, share: float) -> float | None:
        """The same over the latest 2000 recommendations."""
        return _percentile(Counter(self._recent), share)

    def _sample(self, milliseconds: int) -> None:
        self._all[milliseconds] += 1
        self._recent.append(milliseconds)


def _hold(held: dict[tuple[int, int], int], key: tuple[int, int], kafka_time: int) -> None:
    held[key] = kafka_time
    if len(held) > HELD:
        del held[next(iter(held))]


def _percentile(counts: Counter[int], share: float) -> float | None:
    """The nearest-rank percentile: the smallest value that at least this share does not exceed."""
    remaining = share * counts.total()
    for value in sorted(counts):
        remaining -= counts[value]
        if remaining <= 0:
            return float(value)
    return None
