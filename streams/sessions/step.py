"""The step: what one event changes in a user's sessions. Pure: no clock, no Kafka, no model.

Time is event time, and lateness is relative to the session's own last event, so a wrong clock of
one user affects no other user. Only expiry goes by Kafka time (`expired`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from streams.errors import Refused
from streams.events.bounds import MAX_COUNT
from streams.events.records import EVENT_TYPES, PREFIX_LENGTH, Count, Event, Interaction, Time, Transition

OPEN_SESSIONS = 4
"""Maximum number of open sessions per user, for several devices. The least recent is dropped."""
RECENT_EVENT_IDS = 32
SUPPRESSED_ITEMS = 20
STATE_VERSION = 1
NOTHING: frozenset[str] = frozenset()
SessionName = tuple[int, bytes, int]
"""Identifies a session: its partition, its state key and the offset of its first event."""


class Outcome(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    LATE = "late"
    BEFORE_SESSION = "before_session"
    DUPLICATE = "duplicate"
    SUPPRESSED = "feedback"
    IMPRESSION = "impression"
    __hash__ = str.__hash__  # a few hundred ns faster than an enum's own, and equal to the string's


class Session(msgspec.Struct, array_like=True, gc=False):
    """One visit of a user.

    ``first_offset`` is the offset of its first event, which identifies the session within its
    partition. ``length`` counts all interactions, and ``prefix`` keeps the latest in the order of
    event time. ``suppressed`` are items not to recommend, and ``recent_event_ids`` hashes of the
    latest events' ids and items. Times are in epoch ms.
    """

    session_id: str | None
    first_offset: int
    started_at: Time
    last_at: Time
    length: Count = 0
    prefix: list[Interaction] = []
    suppressed: list[str] = []
    recent_event_ids: list[int] = []


class State(msgspec.Struct, array_like=True, gc=False):
    """All that is stored under one state key. ``seen_at`` is the latest Kafka time, in epoch ms."""

    version: int = STATE_VERSION
    seen_at: Time = 0
    sessions: list[Session] = []


class Step(NamedTuple):
    """The effect of one event.

    ``session`` is the session that changed, or ``None`` if nothing changed. ``triggers`` says
    whether a ranking is made for the event.
    """

    outcome: Outcome
    session: Session | None = None
    transition: Transition | None = None
    triggers: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def user_key(user_id: str) -> bytes:
    """Return the state key of a user."""
    return b"u:" + user_id.encode()


def session_key(session_id: str) -> bytes:
    """Return the state key of an anonymous session."""
    return b"s:" + session_id.encode()


def state_key(event: Event) -> bytes:
    """Return the key under which this event's sessions are stored."""
    return user_key(event.user_id) if event.user_id is not None else session_key(event.session_id or "")


def owner(event: Event) -> str:
    """Return the id of the event's user, or of its anonymous session."""
    return event.user_id if event.user_id is not None else event.session_id or ""


def pack(state: State, source_offset: int) -> bytes:
    """Return the stored form: 8 bytes of source offset, then msgpack.

    Recovery compares the offsets without decoding.
    """
    return source_offset.to_bytes(8, "big") + _encode(state)


class NewerState(Refused):
    """A later version of Ouzel wrote this state. To continue with this version would lose data."""


def unpack(value: bytes) -> State:
    """Decode the stored form.

    Raises ``msgspec.DecodeError`` if the bytes are not a state, and `NewerState` if a later version
    of Ouzel wrote them.
    """
    version = _version(value)
    if version > STATE_VERSION:
        raise NewerState(
            f"session state has version {version}, this version of Ouzel reads up to {STATE_VERSION}: run the newer version"
        )
    return _decode(memoryview(value)[8:])


def _version(value: bytes) -> int:
    """Return the first element of the msgpack array; 0 if the bytes are not such an array."""
    return value[9] if len(value) > 9 and 0x91 <= value[8] <= 0x9F and value[9] < 0x80 else 0


class Source(NamedTuple):
    """Where an event comes from: its record, and its number among the record's events.

    ``kafka_time`` is the record's in epoch ms.
    """

    partition: int
    offset: int
    kafka_time: int
    number: int = 0


class Limits(NamedTuple):
    """Where sessions end, in ms of event time.

    A gap of more than ``gap_ms`` starts a new session. An event at most ``early_ms`` before the
    first one of its session belongs to it. Neither limits a session that the events name.
    """

    gap_ms: int
    early_ms: int


def step(state: State, event: Event, source: Source, limits: Limits) -> Step:
    """Apply one event to ``state`` in place. The returned transition shares no list with it.

    If the result has no session, nothing has changed and the state need not be stored.
    """
    kind = EVENT_TYPES[event.event_type]
    if not (kind.extends or kind.suppresses):
        return Step(Outcome.IMPRESSION)
    session = _find(state, event, limits.gap_ms)
    digest = _digest(event)
    if session is None:
        session = Session(event.session_id, source.offset, event.timestamp, event.timestamp)
        _open(state, session)
    elif digest in session.recent_event_ids:
        return Step(Outcome.DUPLICATE)
    elif event.session_id is None and event.timestamp < session.started_at - limits.early_ms:
        return Step(Outcome.BEFORE_SESSION)
    elif session is not state.sessions[0]:
        state.sessions.remove(session)
        state.sessions.insert(0, session)
    session.recent_event_ids.append(digest)
    del session.recent_event_ids[:-RECENT_EVENT_IDS]
    state.seen_at = max(state.seen_at, source.kafka_time)
    if kind.suppresses:
        _suppress(session, event.item_id)
        return Step(Outcome.SUPPRESSED, session, triggers=kind.triggers)
    if event.item_id in session.suppressed:
        session.suppressed.remove(event.item_id)
    late = event.timestamp < session.last_at
    transition = _extend(session, event, source, 0.0 if late else kind.weight)
    return Step(Outcome.LATE if late else Outcome.ACCEPTED, session, transition, kind.triggers)


def dwell(prefix: Sequence[Interaction]) -> float:
    """Return the seconds between the last two interactions, or -1 if there are fewer than two."""
    return (prefix[-1].timestamp - prefix[-2].timestamp) / 1000 if len(prefix) > 1 else -1.0


def not_again(session: Session, exclude: str) -> frozenset[str]:
    """Return the items that must not be recommended to this session.

    These are the suppressed items. ``exclude`` adds ``nothing``, the items of the prefix that were
    ``purchased``, or all items of the prefix (``seen``).
    """
    if exclude == "nothing":
        return frozenset(session.suppressed) if session.suppressed else NOTHING
    excluded = (i.item_id for i in session.prefix if exclude == "seen" or i.event_type == "purchase")
    return frozenset((*session.suppressed, *excluded))


def expired(state: State, now_ms: int, ttl_ms: int) -> bool:
    """Return whether the last event is more than ``ttl_ms`` of Kafka time ago."""
    return now_ms - state.seen_at > ttl_ms


def _find(state: State, event: Event, gap_ms: int) -> Session | None:
    """Return the open session of the event. A session that the gap has closed is dropped here."""
    for position, session in enumerate(state.sessions):
        if session.session_id != event.session_id:
            continue
        if event.session_id is None and event.timestamp - session.last_at > gap_ms:
            del state.sessions[position]
            return None
        return session
    return None


def _open(state: State, session: Session) -> None:
    state.sessions.insert(0, session)
    del state.sessions[OPEN_SESSIONS:]


def _suppress(session: Session, item_id: str) -> None:
    if item_id not in session.suppressed:
        session.suppressed.append(item_id)
        del session.suppressed[:-SUPPRESSED_ITEMS]


def _digest(event: Event) -> int:
    """Return the hash that identifies an event. The lines of an order may share an event id."""
    return int.from_bytes(blake2b(f"{event.event_id}\n{event.item_id}".encode(), digest_size=8).digest(), "big")


def _extend(session: Session, event: Event, source: Source, weight: float) -> Transition:
    """Insert the interaction by event time, and return the transition from those before it."""
    prefix = session.prefix
    at = bisect_right(prefix, event.timestamp, key=_timestamp)
    before = prefix[:at]
    transition = Transition(
        source_partition=source.partition,
        source_offset=source.offset,
        source_number=source.number,
        prefix=before,
        prefix_length=session.length - (len(prefix) - at),
        unique_items=len({interaction.item_id for interaction in before}),
        item_id=event.item_id,
        event_type=event.event_type,
        weight=weight,
        timestamp=event.timestamp,
    )
    prefix.insert(at, Interaction(event.item_id, event.timestamp, event.event_type))
    del prefix[:-PREFIX_LENGTH]
    session.length = min(session.length + 1, MAX_COUNT)
    session.last_at = max(session.last_at, event.timestamp)
    return transition


def _timestamp(interaction: Interaction) -> int:
    return interaction.timestamp
