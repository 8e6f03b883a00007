"""The oracle of the intake: what the source topics require of the events and of the outputs.

It reads the sources by rules of its own and shares no code with the intake.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from kafka.partitioner.default import murmur2
from support.oracle import read_topic, records_in, records_of

from streams.settings import Settings
from streams.wire.unreadable import unreadable

Letter = tuple[str, int, int]
"""The record of a dead letter: topic, partition and offset."""


class Rule(NamedTuple):
    """How to read a source: the field of the item, the type of all events, and what null means."""

    item: str
    kind: str
    deletes: bool = False


class Wanted(NamedTuple):
    """What an event must be."""

    user: str
    item: str
    kind: str
    timestamp: int


@dataclass
class Required:
    """What the source topics require.

    ``events`` are by their ids, ``deletions`` are counted by user. ``in_order`` has the ids of each
    user's events in each source partition. ``records`` is how many there are, a damaged batch being
    one.
    """

    events: dict[str, Wanted] = field(default_factory=dict)
    deletions: Counter[str] = field(default_factory=Counter)
    letters: set[Letter] = field(default_factory=set)
    in_order: dict[tuple[str, int, str], list[str]] = field(default_factory=dict)
    records: int = 0

    def add(self, rule: Rule, record: Any) -> None:
        """Add a record of a source that is neither damaged nor bad."""
        if record.value is None:
            if rule.deletes and record.key:
                self.deletions[record.key.decode()] += 1
            elif rule.deletes:
                self.letters.add((record.topic, record.partition, record.offset))
            return
        fields = json.loads(record.value)
        event_id = fields.get("event_id", f"{record.topic}-{record.partition}-{record.offset}")
        wanted = Wanted(fields["user_id"], fields[rule.item], rule.kind, fields["timestamp"])
        assert event_id not in self.events, f"two events have the id {event_id}"
        self.events[event_id] = wanted
        self.in_order.setdefault((record.topic, record.partition, wanted.user), []).append(event_id)


def required(settings: Settings, sources: Mapping[str, Rule], bad: Iterable[bytes]) -> Required:
    """Read the sources, given by their full names. ``bad`` are the values that are no events."""
    result, rejected = Required(), frozenset(bad)
    for topic, rule in sources.items():
        for record in records_in(settings, topic):
            result.records += 1
            damaged = unreadable(record)
            if damaged is not None:
                result.letters.add((topic, record.partition, damaged.first))
            elif record.value in rejected:
                result.letters.add((topic, record.partition, record.offset))
            else:
                result.add(rule, record)
    return result


@dataclass
class Way:
    """What became of the required events on their way to the rankings.

    - ``lost``: events and deletions that are not in `events`, and events without a transition.
    - ``doubled``: transitions of an event after its first one, and events that differ from what is
      required, that nothing requires, or that are in the wrong partition.
    - ``unranked``: events without a ranking.
    - ``disordered``: events that come before an earlier one of their source partition and user.
    - ``written_again``: copies of events and deletions in `events` after the first one.
    """

    lost: int = 0
    doubled: int = 0
    unranked: int = 0
    disordered: int = 0
    written_again: int = 0


def way(settings: Settings, wanted: Required) -> Way:
    """Compare the topics with what is required."""
    written, result = read_topic(settings, "events"), Way()
    ids, first = dict[tuple[int, int], str](), dict[str, int]()
    copies, deletions = Counter[str](), Counter[str]()
    for record in written:
        if record.value is None:
            deletions[record.key.decode()] += 1
            continue
        fields = json.loads(record.value)
        event_id = ids[record.partition, record.offset] = fields["event_id"]
        copies[event_id] += 1
        first.setdefault(event_id, record.offset)
        is_so = Wanted(fields["user_id"], fields["item_id"], fields.get("event_type", "view"), fields["timestamp"])
        result.doubled += wanted.events.get(event_id) != is_so or record.partition != _partition(settings, is_so.user)
    result.written_again = copies.total() - len(copies) + (deletions - wanted.deletions).total()
    result.disordered = sum(_disordered([first[name] for name in names if name in first]) for names in wanted.in_order.values())
    learned, ranked = _learned(settings, ids), _ranked(settings)
    result.lost = sum(name not in copies or name not in learned for name in wanted.events)
    result.lost += (wanted.deletions - deletions).total()
    result.doubled += learned.total() - len(learned)
    result.unranked = sum(name not in ranked for name in wanted.events)
    return result


def _partition(settings: Settings, user: str) -> int:
    """The partition that Kafka's usual hash gives to a key."""
    hashed: int = murmur2(user.encode())
    return (hashed & 0x7FFFFFFF) % settings.partitions


def _disordered(offsets: Sequence[int]) -> int:
    return sum(later < earlier for earlier, later in pairwise(offsets))


def _learned(settings: Settings, ids: Mapping[tuple[int, int], str]) -> Counter[str]:
    """How many different transitions each event has made."""
    transitions = (json.loads(record.value) for record in records_of(settings, "transitions"))
    return Counter(ids[place] for place in {(made["source_partition"], made["source_offset"]) for made in transitions})


def _ranked(settings: Settings) -> set[str]:
    """The ids of the events that triggered a ranking."""
    values = (record.value for record in records_of(settings, "recommendations") if record.value is not None)
    return {trigger for value in values if (trigger := json.loads(value).get("trigger_event_id"))}
