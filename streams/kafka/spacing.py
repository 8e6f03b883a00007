"""Spaces the reads of a busy log, so that each read finds more records.

A broker answers a waiting fetch as soon as one record comes. A busy log would cost a request for
every few records.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Spacing:
    """Decides when a reader may read again: ``rest_s`` after a read that reached the log's end.

    A read that found nothing, or left records behind, is followed by the next one at once. So a
    single record after a quiet time is read without delay, and a backlog at full speed. ``clock``
    is monotonic, in seconds.
    """

    def __init__(self, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_s, self._clock = rest_s, clock
        self._not_before = clock()

    def has_read(self, records: int, *, reached_end: bool) -> bool:
        """Note a read, and return whether a rest follows."""
        rests = bool(records) and reached_end and self._rest_s > 0
        if rests:
            self._not_before = self._clock() + self._rest_s
        return rests

    @property
    def rest_left_s(self) -> float:
        """How long the reader has to wait before its next read, in seconds."""
        return max(self._not_before - self._clock(), 0.0)
