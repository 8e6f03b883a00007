"""The bounds of a listener's connections: those that the listener sets, and those of every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streams.http.places import Places

MOST_QUEUED = 16
"""The requests that may wait behind one that is being answered (HTTP pipelining)."""
LINGER_S = 1.0
"""How long a refused client may take to read the answer and to close."""
CHECKS = frozenset({b"/health/live", b"/health/ready", b"/metrics"})
"""The paths that a connection on a reserved place may request."""


@dataclass(frozen=True)
class Bounds:
    """The bounds of a listener's connections. ``count`` gets the reason of each early end."""

    places: Places
    max_head_bytes: int
    timeout_s: float
    count: Callable[[str], None] = field(default=lambda reason: None)
    types_at: str | None = None
    """The page that explains the kinds of problems."""
