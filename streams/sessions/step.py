"""The step: what one event does to a user's sessions. Pure: no clock, no Kafka, no model.

Time is event time and lateness is relative to the session's own last event, so no clock of another user can freeze or
expire anything here. Expiry goes by Kafka time (`expired`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from streams.errors import Refused
from streams.events.records import EVENT_TYPES, PREFIX_LENGTH, Event, Interaction, Transition

OPEN_SESSIONS = 4
"""Sessions of one user that are kept side by side (several devices); the least recently used goes first."""
RECENT_EVENT_IDS = 32
SUPPRESSED_ITEMS = 20
STATE_VERSION = 1
NOTHING: frozenset[str] = frozenset()
SessionName = tuple[int, bytes, int]
"""Names one session among all: its partition, its state key and the offset of its first event."""


class Outcome(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    LATE = "late"
    BEFORE_SESSION = "before_session"
    DUPLICATE = "duplicate"
    SUPPRESSED = "feedback"
    IMPRESSION = "impression"
    __hash__ = str.__hash__  # a few hundred ns sooner than an enum's own, and that of the equal string


class Session(msgspec.Struct, array_like=True, gc=False):
    """One visit: the last interactions in event-time order, and what suppresses or repeats.

    ``first_offset`` is the offset of the event that began it, which names it within its partition. Times are epoch ms.
    """

    session_id: str | None
    first_offset: int
    started_at: int
    last_at: int
    length: int = 0
    prefix: list[Interaction] = []
    suppressed: list[str] = []
    recent_event_ids: list[int] = []


class State(msgspec.Struct, array_like=True, gc=False):
    """All that is kept under one state key. ``seen_at`` is the Kafka time of the last event, epoch ms."""

    version: int = STATE_VERSION
    seen_at: int = 0
    sessions: list[Session] = []


class Step(NamedTuple):
    """The effect of one event: the session to rank for if a ranking is due, and the transition that it makes, if any."""

    outcome: Outcome
    session: Session | None = None
    transition: Transition | None = None
    triggers: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def user_key(user_id: str) -> bytes:
    """The state key of a user."""
    return b"u:" + user_id.encode()


def session_key(session_id: str) -> bytes:
    """The state key of an anonymous session."""
    return b"s:" + session_id.encode()


def state_key(event: Event) -> bytes:
    """The key under which this event's sessions are kept."""
    return user_key(event.user_id) if event.user_id is not None else session_key(event.session_id or "")


def owner(event: Event) -> str:
    """Whose the event is: the user's, or the anonymous session's."""
    return event.user_id if event.user_id is not None else event.session_id or ""


def pack(state: State, source_offset: int) -> bytes:
    """The stored form: 8 bytes of source offset, so that recovery compares without decoding, then msgpack."""
    return source_offset.to_bytes(8, "big") + _encode(state)


class NewerState(Refused):
    """A state that a later version of this program has written; to read on would lose it."""


def unpack(value: bytes) -> State:
    """Read the stored form. Raises ``msgspec.DecodeError`` on foreign bytes and `NewerState` on a later version's."""
    version = _version(value)
    if version > STATE_VERSION:
        raise NewerState(f"session state of version {version}, this program reads up to {STATE_VERSION}")
    return _decode(memoryview(value)[8:])


def _version(value: bytes) -> int:
    """The first element of the array that a state is; 0 where there is none."""
    return value[9] if len(value) > 9 and 0x91 <= value[8] <= 0x9F and value[9] < 0x80 else 0


def step(state: State, event: Event, partition: int, offset: int, kafka_time: int, gap_ms: int) -> Step:
    """Apply one event to ``state`` in place; what is returned shares its lists with nobody.

    Without a session in the answer nothing has changed: such a state is not stored.
    ``gap_ms`` of event time without an explicit session id begins a new session. ``kafka_time`` is epoch ms.
    """
    kind = EVENT_TYPES[event.event_type]
    if not (kind.extends or kind.suppresses):
        return Step(Outcome.IMPRESSION)
    session = _find(state, event, gap_ms)
    digest = int.from_bytes(blake2b(event.event_id.encode(), digest_size=8).digest(), "big")
    if session is None:
        session = Session(event.session_id, offset, event.timestamp, event.timestamp)
        _open(state, session)
    elif digest in session.recent_event_ids:
        return Step(Outcome.DUPLICATE)
    elif event.timestamp < session.started_at:
        return Step(Outcome.BEFORE_SESSION)
    elif session is not state.sessions[0]:
        state.sessions.remove(session)
        state.sessions.insert(0, session)
    session.recent_event_ids.append(digest)
    del session.recent_event_ids[:-RECENT_EVENT_IDS]
    state.seen_at = max(state.seen_at, kafka_time)
    if kind.suppresses:
        _suppress(session, event.item_id)
        return Step(Outcome.SUPPRESSED, session, triggers=kind.triggers)
    if event.item_id in session.suppressed:
        session.suppressed.remove(event.item_id)
    late = event.timestamp < session.last_at
    transition = _extend(session, event, partition, offset, 0.0 if late else kind.weight)
    return Step(Outcome.LATE if late else Outcome.ACCEPTED, session, transition, kind.triggers)


def dwell(prefix: Sequence[Interaction]) -> float:
    """Seconds between the last two interactions; -1 before there are two."""
    return (prefix[-1].timestamp - prefix[-2].timestamp) / 1000 if len(prefix) > 1 else -1.0


def not_again(session: Session, exclude: str) -> frozenset[str]:
    """Items that the session is not to be recommended: those suppressed and, by ``exclude``, those ``seen`` or ``purchased``."""
    if exclude == "nothing":
        return frozenset(session.suppressed) if session.suppressed else NOTHING
    known = (i.item_id for i in session.prefix if exclude == "seen" or i.event_type == "purchase")
    return frozenset((*session.suppressed, *known))


def expired(state: State, now_ms: int, ttl_ms: int) -> bool:
    """Whether nothing came for ``ttl_ms`` of Kafka time."""
    return now_ms - state.seen_at > ttl_ms


def _find(state: State, event: Event, gap_ms: int) -> Session | None:
    """The open session that the event belongs to; an implicit one that the gap has closed is dropped here."""
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


def _extend(session: Session, event: Event, partition: int, offset: int, weight: float) -> Transition:
    """Insert the interaction by time and return the transition from what came before it."""
    prefix = session.prefix
    at = bisect_right(prefix, event.timestamp, key=_timestamp)
    before = prefix[:at]
    transition = Transition(
        source_partition=partition,
        source_offset=offset,
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
    session.length += 1
    session.last_at = max(session.last_at, event.timestamp)
    return transition


def _timestamp(interaction: Interaction) -> int:
    return interaction.timestamp
