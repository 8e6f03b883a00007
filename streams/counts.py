"""The counts of one unit of work, besides the outcomes of its records. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from streams.events.notes import Kind, Note

Place = tuple[str, int, int]
"""The topic, partition and offset of a record."""


def _by_label() -> defaultdict[str, int]:
    return defaultdict(int)


def _by_place() -> defaultdict[tuple[str, str], int]:
    return defaultdict(int)


def _by_note() -> defaultdict[Note, int]:
    return defaultdict(int)


@dataclass(slots=True)
class Counts:
    """The counts of one unit: a field for each metric family, and a method that counts into it.

    The journey and its observer call the methods while the unit runs. `Telemetry.unit_done` adds
    the fields to the metrics once the unit is done, so an abandoned unit counts nothing. The
    methods take the values of a family's labels as arguments, so mypy reports a missing label.
    A place is a pair: the strategy of a ranking, and the label of the item's rank in it.
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
    notes: defaultdict[Note, int] = field(default_factory=_by_note)
    """What was unusual about events, such as a time of another form or a field that was dropped."""
    examples: dict[Kind, Place] = field(default_factory=dict)
    """The place of the first record of the unit with a note of each kind."""

    def note(self, note: Note, place: Place) -> None:
        """Count something unusual about an event of the record at this place."""
        self.notes[note] += 1
        self.examples.setdefault(note.kind, place)

    def dead_letter(self, reason: str) -> None:
        """Count a record that became a dead letter."""
        self.dead_letters[reason] += 1

    def foreign_key(self, kind: str) -> None:
        """Count an event whose record key is not that of its user or session."""
        self.foreign_keys[kind] += 1

    def transition(self, count: int = 1) -> None:
        """Count transitions that the unit makes."""
        self.transitions += count

    def recommendation(self, strategy: str, count: int = 1) -> None:
        """Count recommendations of this strategy that the unit publishes."""
        self.recommendations[strategy] += count

    def expired(self) -> None:
        """Count a state or a marker that expired."""
        self.expired_states += 1

    def item(self, expert: str, count: int = 1) -> None:
        """Count items of a sampled recommendation for which this expert is the reason."""
        self.items[expert] += count

    def tail_item(self, count: int = 1) -> None:
        """Count items of a sampled recommendation that belong to the long tail."""
        self.tail_items += count

    def repeated_item(self, count: int = 1) -> None:
        """Count items of a sampled recommendation that the session had before."""
        self.repeated_items += count

    def click(self, strategy: str, rank: str) -> None:
        """Count an event that names a recommendation, by the place of its item there."""
        self.clicks[strategy, rank] += 1

    def impression(self, strategy: str, rank: str) -> None:
        """Count an impression that names a recommendation, by the place of its item there."""
        self.impressions[strategy, rank] += 1

    def follow_up(self, strategy: str, rank: str) -> None:
        """Count an event whose item was in the last ranking of its session, named or not."""
        self.follow_ups[strategy, rank] += 1

    def unattributed(self) -> None:
        """Count an event or impression that names a recommendation outside the ranking cache."""
        self.unattributed_events += 1
