"""What the journey collects of one unit of work, before anything leaves the process."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from streams.counts import Counts
from streams.events.records import Event
from streams.kafka.outbox import Outbox
from streams.sessions.step import Outcome, SessionName
from streams.sessions.store import Changes
from streams.wire.record import KafkaRecord

UNKNOWN = "unknown"
"""The event type of a record that is not an event, or that was skipped before decoding."""


class Trigger(msgspec.Struct, gc=False):
    """An event that triggers a ranking, and its session right after it.

    The fields after ``outcome`` are those of `models.recommender.QueryLike`: the model ranks for a
    trigger as it is.
    """

    event: Event
    record: KafkaRecord
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
    """What the steps of the journey have collected of one unit so far; each step adds to it."""

    triggers: list[Trigger] = field(default_factory=list)
    impressions: list[Event] = field(default_factory=list)
    """Impressions that name a recommendation."""
    removals: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Deleted users: the number of triggers before the deletion, the partition, and the key."""
    forgotten: list[SessionName] = field(default_factory=list)
    """Sessions of deleted users."""
    outbox: Outbox = field(default_factory=Outbox)
    changes: dict[int, Changes] = field(default_factory=dict)
    """Changes of the stored states, per partition."""
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    """Per record, the event type and the outcome."""
    counts: Counts = field(default_factory=Counts)
