"""What one unit of work amounts to before anything has left the process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from streams.events.records import Event
from streams.kafka.outbox import Outbox
from streams.kafka.record import Record
from streams.sessions.step import Outcome, SessionName
from streams.sessions.store import Changes

UNKNOWN = "unknown"
"""The type of a record that is no event, or was not looked into."""


class Trigger(msgspec.Struct, gc=False):
    """An event that asks for a ranking, with what was known right after it; the fields after ``outcome`` are those of a query."""

    event: Event
    record: Record
    name: SessionName
    outcome: Outcome
    prefix: list[str]
    excluded: frozenset[str]
    length: int
    dwell: float
    per_expert: bool
    allowed: None = None


@dataclass(slots=True)
class Work:
    """A unit's events so far: what they ask for, what they send, what they change, and what became of them."""

    triggers: list[Trigger] = field(default_factory=list)
    impressions: list[Event] = field(default_factory=list)
    """Those that name a recommendation."""
    removals: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Deleted users: how many triggers came before, the partition, and the key."""
    outbox: Outbox = field(default_factory=Outbox)
    changes: dict[int, Changes] = field(default_factory=dict)
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    """Of each record, the event's type and what became of it."""
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Everything else that is counted, by a name that `streams.observing.telemetry` knows and the labels' values."""
