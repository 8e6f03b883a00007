"""What a unit of work counts, besides the outcome of each record. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


def _by_label() -> defaultdict[str, int]:
    return defaultdict(int)


def _by_place() -> defaultdict[tuple[str, str], int]:
    return defaultdict(int)


@dataclass(slots=True)
class Counts:
    """The counts of one unit: a field for each metric family, and a method that counts into it.

    The journey and its observer call the methods while the unit runs. `Telemetry.unit_done` adds
    the fields to the metrics once the unit is done, so an abandoned unit counts nothing. A method
    takes the values of the family's labels: a wrong name or a missing label is an error of mypy.
    Places are pairs of the ranking's strategy and the label of the item's rank.
    """

    dead_letters: defaultdict[str, int] = field(default_factory=_by_label)
    """By reason."""
    foreign_keys: defaultdict[str, int] = field(default_factory=_by_label)
    """By kind: ``null`` or ``mismatch``."""
    transitions: int = 0
    recommendations: defaultdict[str, int] = field(default_factory=_by_label)
    """By strategy."""
    expired_states: int = 0
    items: defaultdict[str, int] = field(default_factory=_by_label)
    """Items of sampled recommendations, by expert."""
    tail_items: int = 0
    repeated_items: int = 0
    clicks: defaultdict[tuple[str, str], int] = field(default_factory=_by_place)
    impressions: defaultdict[tuple[str, str], int] = field(default_factory=_by_place)
    follow_ups: defaultdict[tuple[str, str], int] = field(default_factory=_by_place)
    unattributed_events: int = 0

    def dead_letter(self, reason: str) -> None:
        """A record became a dead letter."""
        self.dead_letters[reason] += 1

    def foreign_key(self, kind: str) -> None:
        """An event's record key is not its user's or session's."""
        self.foreign_keys[kind] += 1

    def transition(self, count: int = 1) -> None:
        """The unit makes so many more transitions."""
        self.transitions += count

    def recommendation(self, strategy: str, count: int = 1) -> None:
        """The unit publishes so many more recommendations of this strategy."""
        self.recommendations[strategy] += count

    def expired(self) -> None:
        """A state or a marker expired."""
        self.expired_states += 1

    def item(self, expert: str, count: int = 1) -> None:
        """This expert is the reason for so many items of a sampled recommendation."""
        self.items[expert] += count

    def tail_item(self, count: int = 1) -> None:
        """So many of these items belong to the long tail."""
        self.tail_items += count

    def repeated_item(self, count: int = 1) -> None:
        """The session had so many of these items before."""
        self.repeated_items += count

    def click(self, strategy: str, rank: str) -> None:
        """An event names a recommendation, whose strategy and rank of the item these are."""
        self.clicks[strategy, rank] += 1

    def impression(self, strategy: str, rank: str) -> None:
        """An impression names a recommendation, whose strategy and rank of the item these are."""
        self.impressions[strategy, rank] += 1

    def follow_up(self, strategy: str, rank: str) -> None:
        """An event's item was in the last ranking of its session, whatever the event names."""
        self.follow_ups[strategy, rank] += 1

    def unattributed(self) -> None:
        """An event or impression names a recommendation that is not in the ranking cache."""
        self.unattributed_events += 1
