"""When a worker fetches events: after a small unit of work, or ahead of time in a backlog.

aiokafka always fetches ahead, and keeps what it gets until the next poll. When few events wait,
such a fetch finds one or two. They wait for the unit in flight, and later events wait for both. A
fetch that is sent once the unit is done finds all of them. docs/decisions/0014 has the
measurements.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer

from streams.kafka.connection import FetchWaits
from streams.kafka.upstream import set_max_wait

SMALL_UNIT = 128
"""The next unit is fetched ahead if this one has at least so many events."""


class Fetching:
    """Pauses and resumes the fetches of the events. All methods run in the consumer's thread.

    A fetch waits long at the broker if few events came last, and otherwise briefly.
    """

    def __init__(self, consumer: AIOKafkaConsumer, waits: FetchWaits) -> None:
        self._consumer, self._waits = consumer, waits

    def resume(self) -> None:
        """Let aiokafka fetch again. Call before a poll of the events."""
        if paused := self._consumer.paused():
            self._consumer.resume(*paused)

    def resume_briefly(self) -> None:
        """Do the same, with fetches that wait only briefly at the broker.

        Call it while the unit in flight takes long, so that other partitions are not behind the
        wait of one, and in recovery, where questions for positions and ends would be.
        """
        set_max_wait(self._consumer, self._waits.short_ms)
        self.resume()

    def polled(self, events: int, most: int) -> None:
        """Note a poll that could have returned ``most`` events.

        Call it before anything is awaited, so that no fetch is sent in between.
        """
        small = events < min(SMALL_UNIT, most)
        # in a backlog, a fetch that waits for one partition would delay the next fetch of another
        set_max_wait(self._consumer, self._waits.long_ms if small else self._waits.short_ms)
        if events and small:
            # all of them: a fetch of another topic would wait at the broker, and ours behind it
            self._consumer.pause(*self._consumer.assignment())
