"""The records that travel on Ouzel's topics: their schemas, and what each event type means.

JSON on the wire but for the sessions changelog. Decoding of what users send (aliases, mapping, bounds) is in `decode`. Records
are trees, never cycles, so the garbage collector need not follow them (`gc=False`): with a thousand sessions in hand it would
walk them again and again.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

PREFIX_LENGTH = 20
"""Interactions of a session that are kept and learned from."""


class EventType(NamedTuple):
    """What an event type does: see the table in docs/design.md."""

    extends: bool
    weight: float
    triggers: bool
    suppresses: bool = False


EVENT_TYPES: dict[str, EventType] = {
    "view": EventType(True, 1.0, True),
    "click": EventType(True, 1.0, True),
    "like": EventType(True, 2.0, True),
    "add_to_cart": EventType(True, 3.0, True),
    "purchase": EventType(True, 5.0, True),
    "remove_from_cart": EventType(False, 0.0, True, suppresses=True),
    "dislike": EventType(False, 0.0, True, suppresses=True),
    "impression": EventType(False, 0.0, False),
}


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One behaviour event of a user or an anonymous session. ``timestamp`` is event time, epoch ms."""

    event_id: str
    item_id: str
    timestamp: int
    user_id: str | None = None
    session_id: str | None = None
    event_type: str = "view"
    event_value: float | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    recommendation_id: str | None = None
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


class Item(msgspec.Struct, kw_only=True, gc=False):
    """What is known of an item. ``created_at`` is epoch ms."""

    item_id: str
    item_name: str | None = None
    categories: list[str] = []
    brand: str | None = None
    price: float | None = None
    currency: str | None = None
    is_hidden: bool = False
    created_at: int | None = None
    labels: dict[str, str] = {}


class Interaction(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A user acted on an item: an entry of a prefix."""

    item_id: str
    timestamp: int
    event_type: str


class Transition(msgspec.Struct, kw_only=True, gc=False):
    """Prefix -> next item: the training example that one interaction makes. Weight 0 is counted and trains nothing."""

    source_partition: int
    source_offset: int
    prefix: list[Interaction]
    prefix_length: int
    unique_items: int
    item_id: str
    event_type: str
    weight: float
    timestamp: int


class RankedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One place of a recommendation. ``rank`` counts from 1."""

    item_id: str
    score: float
    rank: int
    reason: str
    because_item_id: str | None = None


class Recommendation(msgspec.Struct, kw_only=True, gc=False):
    """A published ranking. ``recommendation_id`` follows from the trigger, so a repeat is recognisable."""

    recommendation_id: str
    user_id: str | None
    session_id: str | None
    generated_at: int
    trigger_event_id: str
    trigger_offset: int
    model_version: int
    strategy: str
    prefix: list[str]
    items: list[RankedItem]
    took_ms: float


def recommendation_id(topic: str, partition: int, offset: int) -> str:
    """The identifier of the recommendation that this record triggers."""
    return f"{topic}-{partition}-{offset}"


def trigger_of(recommendation_id: str, topic: str) -> tuple[int, int] | None:
    """Partition and offset of the record of ``topic`` that triggered this recommendation; ``None`` for an id of another kind."""
    found = re.fullmatch(r"(.+)-([0-9]{1,9})-([0-9]{1,18})", recommendation_id, re.DOTALL)
    return (int(found[2]), int(found[3])) if found is not None and found[1] == topic else None
