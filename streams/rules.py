"""The part of the settings that the journey uses: topic names, rules and the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from streams.events.bounds import MAX_EVENTS
from streams.events.decode import EventDecoder
from streams.events.event_time import time_rule
from streams.events.event_types import EventTypes
from streams.events.hook import load_decoder
from streams.sessions.deletion import Deleting
from streams.sessions.step import Limits
from streams.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


class Topics(NamedTuple):
    """Full names of the topics that the journey writes to."""

    recommendations: str
    transitions: str
    dead_letters: str


class Rules(NamedTuple):
    """The settings that decide what the journey does with an event.

    ``published`` is the number of items in a recommendation. ``exclude`` is the setting of that
    name: see `streams.sessions.step.not_again`.
    """

    limits: Limits
    session_ttl_ms: int
    published: int
    exclude: str = "nothing"
    deleting: Deleting = Deleting()
    max_dead_letter_bytes: int = 900_000


def topics_of(settings: Settings) -> Topics:
    """Return the topic names that these settings give."""
    return Topics(*(settings.topic(name) for name in ("recommendations", "transitions", "dead-letters")))


def rules_of(settings: Settings, deleting: Deleting) -> Rules:
    """Return the rules that these settings give."""
    return Rules(limits_of(settings), int(settings.session_ttl_s * 1000), settings.published, settings.exclude, deleting)


def limits_of(settings: Settings) -> Limits:
    """Return the limits of sessions that these settings give."""
    return Limits(int(settings.session_gap_s * 1000), int(settings.session_early_s * 1000))


def _log_unmapped(problem: str) -> None:
    log.warning("mapped_path_not_found", problem=problem)


def event_decoder(
    settings: Settings,
    report: Callable[[str], None] = _log_unmapped,
    event_type: str | None = None,
    max_events: int = MAX_EVENTS,
    alone: Sequence[str] = (),
) -> EventDecoder:
    """Build the decoder of events.

    ``report`` is called with a message for each mapped path that none of the first events has.
    ``event_type`` is the type of all events; ``None`` reads it from each event. A record of more
    than ``max_events`` events is rejected. The guests of ``alone`` are users or sessions if there
    is no other id. Raises `SettingsError` if the mapping, the form of times or the hook is invalid.
    """
    try:
        hook = load_decoder(settings.decoder) if settings.decoder else None
        return EventDecoder(
            settings.field_mapping,
            hook,
            max_bytes=settings.max_record_bytes,
            max_ahead_ms=int(settings.max_ahead_s * 1000),
            types=EventTypes(settings.event_types, event_type),
            guests=settings.guests,
            alone=alone,
            times=time_rule(settings.time_unit, settings.time_format),
            only=settings.field_filter,
            tombstones=settings.tombstones == "delete",
            max_events=max_events,
            report=report,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def hash_secret(settings: Settings) -> bytes:
    """Return the key of the hashes of users: the setting `hash_key`.

    Without it, the key is the group's name, which is not secret.
    """
    return settings.hash_key.get_secret_value().encode() if settings.hash_key else settings.app_id.encode()
