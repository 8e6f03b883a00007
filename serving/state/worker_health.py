"""Decides whether the workers are down: none answers, or none processes the events. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable

STALLED_S = 3.0
"""Events that wait for so long without any progress show that no worker processes them."""
RECENT_S = 2.0
"""A worker that published a ranking within this time is at work, even if a scrape failed."""


class WorkerHealth:
    """Watches what the workers process, by their metrics and by what they publish.

    ``monitored`` says that the addresses of the workers were set. Addresses by default may be
    wrong, so they count from the first answer on. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, monitored: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._known, self._clock = monitored, clock
        self._scraped = False
        self._ready = 0
        self._processed: int | None = None
        self._waiting_since: float | None = None
        """When the first event arrived after the last progress; ``None`` if none waits."""
        self._ranked_at: float | None = None

    def arrived(self) -> None:
        """Events have arrived on Kafka."""
        if self._waiting_since is None:
            self._waiting_since = self._clock()

    def ranked(self) -> None:
        """A worker has published the ranking of an event."""
        self._ranked_at, self._waiting_since = self._clock(), None

    def scraped(self, answered: int, ready: int, processed: int | None, lag: int | None) -> None:
        """Take the sums of a scrape of all workers.

        ``processed`` is the number of events since the workers started, and ``lag`` how many are
        left; ``None`` is unknown. A lag of 0 clears events that trigger no ranking.
        """
        self._scraped, self._known, self._ready = True, self._known or answered > 0, ready
        if processed != self._processed or lag == 0:
            self._waiting_since = None
        self._processed = processed

    @property
    def down(self) -> bool | None:
        """Whether no worker answers, or none makes progress; ``None`` if this is not known."""
        now = self._clock()
        if self._ranked_at is not None and now - self._ranked_at < RECENT_S:
            return False
        if not (self._known and self._scraped):
            return None
        stalled = self._waiting_since is not None and now - self._waiting_since >= STALLED_S
        return self._ready == 0 or stalled
