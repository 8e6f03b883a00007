"""Epochs: followers use them to tell the updates of a new learner from those of an old one.

Pure.
"""

from __future__ import annotations


class Epochs:
    """Gives each learner a higher epoch than any known before.

    An epoch is the consumer group's generation plus a base. Generations count from 1 again in a
    group that was deleted (`ouzel reset`, or a week without members); the base rises then.
    """

    def __init__(self) -> None:
        self.current = 0
        self.generation = -1
        """The generation of the current epoch; -1 before the first."""
        self._base = 0

    def begin(self, generation: int, known: int) -> int:
        """Begin the epoch of this generation. ``known`` is the highest epoch seen in the log."""
        known = max(known, self.current)
        if known >= self._base + generation:
            self._base = known
        self.generation, self.current = generation, self._base + generation
        return self.current
