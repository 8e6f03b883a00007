"""The records on Ouzel's topics: their schemas, and what each event type does.

They are JSON; only the sessions changelog is msgpack. `decode` reads what users send
(aliases, mapping, bounds). Records are trees without cycles, so the garbage collector need not
follow them (`gc=False`): with a thousand sessions in memory it would walk them again and again.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Annotated, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from streams.events.bounds import (
    MAX_COUNT,
    MAX_EVENTS,
    MAX_ID_LENGTH,
    MAX_OFFSET,
    MAX_PARTITION,
    MAX_TIME,
    MAX_WEIGHT,
    RESERVED_ID,
    JsonObject,
)

PREFIX_LENGTH = 20
"""Number of a session's latest interactions that its prefix keeps."""
POPULAR_KEY = RESERVED_ID.encode()
"""The key on `recommendations` of the ranking for users without history."""


Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
"""An id in a stored record. Its length is in characters, as earlier versions bounded it."""
Partition = Annotated[int, Meta(ge=0, le=MAX_PARTITION)]
Offset = Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
TriggerOffset = Annotated[int, Meta(ge=-1, le=MAX_OFFSET)]
"""The offset of the event that triggered a ranking; -1 for a ranking that none triggered."""
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Time = Annotated[int, Meta(ge=-MAX_TIME - 1, le=MAX_TIME)]
"""Epoch ms. Kafka time may be any integer of 64 bits, and event time defaults to it."""


class EventType(NamedTuple):
    """What an event of this type does; docs/design.md has the table.

    ``extends``: it is an interaction and extends the prefix. ``weight``: its weight in training.
    ``triggers``: a ranking follows it. ``suppresses``: its item is not recommended in this session.
    """

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
    """One event of a user or an anonymous session. ``timestamp`` is event time in epoch ms."""

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
    context: JsonObject | None = None
    properties: JsonObject | None = None


class Item(msgspec.Struct, kw_only=True, gc=False):
    """An item of the catalogue. Times are in epoch ms.

    An item is hidden if ``is_hidden`` is true, ``available`` is false or ``stock`` is 0 or less,
    and also before ``available_from`` and from ``expires_at`` on.
    """

    item_id: str
    item_name: str | None = None
    categories: list[str] = []
    brand: str | None = None
    price: float | None = None
    currency: str | None = None
    is_hidden: bool = False
    available: bool = True
    stock: float | None = None
    available_from: int | None = None
    expires_at: int | None = None
    created_at: int | None = None
    labels: dict[str, str] = {}


class Interaction(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One action of a user on an item: an entry of a prefix."""

    item_id: Id
    timestamp: Time
    event_type: str


class Transition(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The training example of one interaction: prefix -> next item. Weight 0 is not trained on.

    ``source_number`` counts the events of the record at ``source_offset`` from 0.
    """

    source_partition: Partition
    source_offset: Offset
    prefix: list[Interaction]
    prefix_length: Count
    unique_items: Count
    item_id: Id
    event_type: str
    weight: Annotated[float, Meta(ge=0.0, le=MAX_WEIGHT)]
    timestamp: Time
    source_number: Annotated[int, Meta(ge=0, le=MAX_EVENTS)] = 0


class RankedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One item of a recommendation. ``rank`` counts from 1."""

    item_id: str
    score: float
    rank: Count
    reason: str
    because_item_id: str | None = None


class Recommendation(msgspec.Struct, kw_only=True, gc=False):
    """A published ranking. Its id is derived from the trigger, so a repeat has the same id."""

    recommendation_id: str
    user_id: str | None
    session_id: str | None
    generated_at: Time
    trigger_event_id: str
    trigger_offset: TriggerOffset
    model_version: Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
    strategy: str
    prefix: list[str]
    items: list[RankedItem]
    took_ms: float


def recommendation_id(topic: str, partition: int, offset: int) -> str:
    """Return the id of the recommendation that this record triggers."""
    return f"{topic}-{partition}-{offset}"


def trigger_of(recommendation_id: str, topic: str) -> tuple[int, int] | None:
    """Return partition and offset of the record of ``topic`` that triggered this recommendation.

    Returns ``None`` if the id has another form, or names another topic.
    """
    match = re.fullmatch(r"(.+)-([0-9]{1,9})-([0-9]{1,18})", recommendation_id, re.DOTALL)
    return (int(match[2]), int(match[3])) if match is not None and match[1] == topic else None


class RankingLike(Protocol):
    """The published part of a model's ranking; `models.recommender.Ranking` has it.

    `ranked_items` reads every property once. Each has one entry per item, best first.
    """

    @property
    def items(self) -> Sequence[str]: ...
    @property
    def scores(self) -> Sequence[float]: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def because(self) -> Sequence[str | None]: ...


def ranked_items(ranking: RankingLike) -> list[RankedItem]:
    """Return the items of a ranking as they are published."""
    return list(map(RankedItem, ranking.items, ranking.scores, count(1), ranking.reasons, ranking.because))
