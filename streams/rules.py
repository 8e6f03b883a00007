"""The part of the settings that the journey uses: topic names, rules and the decoder."""

from __future__ import annotations

from typing import NamedTuple

from streams.events.decode import EventDecoder, load_decoder
from streams.sessions.deletion import Deleting
from streams.settings import Settings, SettingsError


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

    session_gap_ms: int
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
    gap_ms, ttl_ms = int(settings.session_gap_s * 1000), int(settings.session_ttl_s * 1000)
    return Rules(gap_ms, ttl_ms, settings.published, settings.exclude, deleting)


def event_decoder(settings: Settings) -> EventDecoder:
    """Build the decoder of events. Raises `SettingsError` if the mapping or the hook is invalid."""
    try:
        hook = load_decoder(settings.decoder) if settings.decoder else None
        return EventDecoder(
            settings.field_mapping, hook, max_bytes=settings.max_record_bytes, max_ahead_ms=int(settings.max_ahead_s * 1000)
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def hash_secret(settings: Settings) -> bytes:
    """Return the key of the hashes of users: the setting `hash_key`.

    Without it, the key is the group's name, which is not secret.
    """
    return settings.hash_key.get_secret_value().encode() if settings.hash_key else settings.app_id.encode()
