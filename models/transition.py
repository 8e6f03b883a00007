"""A columnar batch of transitions: the unit of learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NO_DWELL = -1.0


@dataclass(slots=True)
class Transitions:
    """Transitions in learning order, one list per column, all of equal length.

    ``prefix[i]`` has the session's last items before ``item[i]``, oldest first, at most 20. It is
    empty for the first interaction of a session. A transition with an empty prefix or a weight of 0
    feeds the vocabulary and counts but trains nothing. ``timestamp`` is event time in ms.
    ``length`` counts the session's interactions before this one. ``dwell`` is the time in seconds
    between the last two of them, -1 if there are fewer. ``source_partition`` and ``source_offset``
    identify the record of the event that made the transition, and ``source_number`` the event in
    it, from 0.
    """

    source_partition: list[int] = field(default_factory=list)
    source_offset: list[int] = field(default_factory=list)
    prefix: list[Sequence[str]] = field(default_factory=list)
    item: list[str] = field(default_factory=list)
    event_type: list[str] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    timestamp: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    dwell: list[float] = field(default_factory=list)
    source_number: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.item)

    def append(
        self,
        source_partition: int,
        source_offset: int,
        prefix: Sequence[str],
        item: str,
        event_type: str,
        weight: float,
        timestamp: int,
        length: int | None = None,
        dwell: float = NO_DWELL,
        source_number: int = 0,
    ) -> None:
        """Add one transition at the end. By default the session is as long as its prefix."""
        self.source_partition.append(source_partition)
        self.source_offset.append(source_offset)
        self.prefix.append(prefix)
        self.item.append(item)
        self.event_type.append(event_type)
        self.weight.append(weight)
        self.timestamp.append(timestamp)
        self.length.append(len(prefix) if length is None else length)
        self.dwell.append(dwell)
        self.source_number.append(source_number)

    def take(self, rows: Sequence[int]) -> Transitions:
        """A batch of the transitions at these indices, in this order."""
        return Transitions(
            [self.source_partition[i] for i in rows],
            [self.source_offset[i] for i in rows],
            [self.prefix[i] for i in rows],
            [self.item[i] for i in rows],
            [self.event_type[i] for i in rows],
            [self.weight[i] for i in rows],
            [self.timestamp[i] for i in rows],
            [self.length[i] for i in rows],
            [self.dwell[i] for i in rows],
            [self.source_number[i] for i in rows],
        )
