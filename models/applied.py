"""Which events a model has learned from: the set of their source offsets, per partition.

Offsets usually rise, so the set is all offsets up to the highest one, without the gaps between
them. Only the widest gaps are kept. They matter if a transition names a wrong offset, far ahead of
its partition: the offsets in between are a gap then, so the events that they belong to are still
new when they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.layout import MOST_STEPS, check_range
from models.state import State

ALL = np.iinfo(np.int64).max
"""The number of the last event applied, if all events of a record were."""
_NONE = np.zeros(0, np.int64)
MOST_GAPS = 4
"""Gaps that are kept per partition. The offsets in every other gap count as applied."""


class Gap(NamedTuple):
    """Offsets that were not applied: those between two offsets that were."""

    after: int
    before: int

    @property
    def width(self) -> int:
        """How many offsets it has."""
        return self.before - self.after - 1


class Applied:
    """A set of source offsets. ``highest`` has the highest one of each partition.

    A record may hold several events, which are numbered from 0. Of the record at the highest
    offset, the number of the last event applied is kept, too.
    """

    def __init__(self, highest: Mapping[int, int] | None = None) -> None:
        self.highest = dict(highest or {})
        self._numbers: dict[int, int] = {}
        self._gaps: dict[int, list[Gap]] = {}

    def add(self, partition: int, offset: int, number: int = 0) -> bool:
        """Add an event of a record. Returns whether it is new: whether it was not applied."""
        highest = self.highest.get(partition, -1)
        if offset == highest and number > self._numbers.get(partition, ALL):
            self._numbers[partition] = number
            return True
        if offset > highest:
            self.highest[partition], self._numbers[partition] = offset, number
            self._keep(partition, Gap(highest, offset))
            return True
        gap = self._gap(partition, offset)
        if gap is None:
            return False
        self._gaps[partition].remove(gap)
        self._keep(partition, Gap(gap.after, offset))
        self._keep(partition, Gap(offset, gap.before))
        return True

    def lacks(self, partition: int, offset: int, number: int = 0) -> bool:
        """Return whether `add` would return true."""
        highest = self.highest.get(partition, -1)
        if offset == highest:
            return number > self._numbers.get(partition, ALL)
        return offset > highest or self._gap(partition, offset) is not None

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays, by name: the partitions and their highest offsets, and the gaps."""
        partitions = sorted(self.highest)
        gaps = [(partition, *gap) for partition in sorted(self._gaps) for gap in self._gaps[partition]]
        return {
            "partitions": np.array(partitions, np.int64),
            "offsets": np.array([self.highest[partition] for partition in partitions], np.int64),
            "numbers": np.array([self._numbers.get(partition, ALL) for partition in partitions], np.int64),
            "gaps": np.array(gaps, np.int64).reshape(-1, 3),
        }

    @classmethod
    def restored(cls, state: State) -> Applied:
        """Return the set of a state. States of earlier versions have neither numbers nor gaps.

        Raises ``ValueError`` for numbers that no topic has.
        """
        for name in ("partitions", "offsets"):
            check_range(name, state[name], 0, MOST_STEPS)
        check_range("numbers", state.get("numbers", _NONE), 0, ALL)
        check_range("gaps", state.get("gaps", _NONE), -1, MOST_STEPS)
        if len(set(state["partitions"].tolist())) < len(state["partitions"]):
            raise ValueError("a partition is there twice")
        applied = cls(dict(zip(state["partitions"].tolist(), state["offsets"].tolist(), strict=True)))
        if "numbers" in state:
            applied._numbers = dict(zip(state["partitions"].tolist(), state["numbers"].tolist(), strict=True))
        for partition, after, before in state["gaps"].tolist() if "gaps" in state else ():
            applied._gaps.setdefault(partition, []).append(Gap(after, before))
        if any(len(gaps) > MOST_GAPS or min(map(_width, gaps)) < 1 for gaps in applied._gaps.values()):
            raise ValueError("a gap is empty, or a partition has too many")
        return applied

    def _gap(self, partition: int, offset: int) -> Gap | None:
        return next((gap for gap in self._gaps.get(partition, ()) if gap.after < offset < gap.before), None)

    def _keep(self, partition: int, gap: Gap) -> None:
        """Keep a gap, unless it is empty or there are enough wider ones."""
        if gap.before - gap.after == 1:
            return
        gaps = self._gaps.setdefault(partition, [])
        gaps.append(gap)
        if len(gaps) > MOST_GAPS:
            gaps.remove(min(gaps, key=_width))


def _width(gap: Gap) -> int:
    return gap.width
