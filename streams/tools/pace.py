"""When the next recorded event is due. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Pace:
    """Computes when the next event is due.

    ``rate`` is in events/s. ``speed`` lets event time pass that many times as fast. Without both,
    every event is due at once. ``clock`` returns seconds. The caller sleeps.
    """

    clock: Callable[[], float]
    rate: float | None = None
    speed: float | None = None
    _began: float | None = None
    _first: int = 0
    _sent: int = 0

    def wait(self, at: int) -> float:
        """Return the seconds until the next event is due, at least 0.

        ``at`` is its event time in ms.
        """
        now = self.clock()
        if self._began is None:
            self._began, self._first = now, at
        if self.rate:
            due = self._began + self._sent / self.rate
        elif self.speed:
            due = self._began + (at - self._first) / 1000 / self.speed
        else:
            due = now
        self._sent += 1
        return max(due - now, 0.0)
