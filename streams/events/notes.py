"""What is unusual about an event although it can be used. It is counted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """What a note is about; its value says about which field, form or type."""

    TIME = "time"
    """How the time was written: one of `streams.events.event_time.FORMS`."""
    EARLY = "early"
    """The time lies before 2000."""
    UNTYPED = "untyped"
    """No event type was found, so the event counts as a view."""
    DROPPED = "dropped"
    """An optional field could not be read, and was left out."""
    GUEST = "guest"
    """The id means that the user or session is unknown."""
    MISSING = "missing"
    """The setting `field_mapping` has a path for the field, and the path leads nowhere."""
    __hash__ = str.__hash__


class Note(NamedTuple):
    """Something about an event that is counted."""

    kind: Kind
    value: str


NO_NOTES: Final[Sequence[Note]] = ()
