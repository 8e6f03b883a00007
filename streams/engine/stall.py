"""The stall watch: a consumer may stop silently (Faust's issues 175, 532, 640), and then only its commits tell."""

from __future__ import annotations

from collections.abc import Callable


class StallWatch:
    """Tells when nothing moved for ``limit_s`` although there was work and the group answered. Pure but for its clock."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit_s, clock
        self._moved_at = clock()
        self._seen: object = None

    def stalled(self, progress: object, *, behind: bool) -> bool:
        """Whether it has stalled. ``progress`` is whatever must change while there is work; ``behind`` says that there is."""
        now = self._clock()
        if not behind or progress != self._seen:
            self._seen, self._moved_at = progress, now
        return now - self._moved_at > self._limit
