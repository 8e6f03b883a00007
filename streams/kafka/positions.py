"""Positions beyond the end of a log: the topic was deleted, or made anew, and to read on would skip what it holds now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.errors import OuzelError, Refused


class LogWentBack(OuzelError):
    """A log was truncated or made anew while it was read. The next start judges what is committed (`PositionAhead`)."""


class PositionAhead(Refused):
    """What is stored is ahead of a log; the message names the way out."""


def refuse_ahead(stored: Mapping[Any, int], ends: Mapping[Any, int | None]) -> None:
    """Raise `PositionAhead` where the next offset to read lies beyond the end of its log; keys are topic partitions."""
    for tp, following in stored.items():
        end = ends.get(tp) or 0
        if following > end:
            raise PositionAhead(
                f"{tp.topic}, partition {tp.partition}: offset {following} comes next, but the log ends at {end}: the topic was "
                "deleted or made anew. `ouzel reset` forgets the sessions and reads every event again"
            )
