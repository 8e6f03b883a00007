"""How fast a backlog is worked off, and how good the rankings are meanwhile."""

from __future__ import annotations

from typing import Any

from bench.end_to_end import windows
from bench.end_to_end.backlog import catch_up
from bench.end_to_end.bench import OWN_ITEMS, Bench, say
from bench.end_to_end.runs import Offer

EVENTS = 200_000


def catching_up(bench: Bench) -> dict[str, Any]:
    """Measure one worker with the real catalogue."""
    catalogue, events = bench.catalogue(OWN_ITEMS), bench.times(EVENTS)
    with bench.deployment(catalogue) as deployment:
        done = catch_up(deployment, Offer(catalogue.path, 0, events, 0.0))
    offline = windows.recall(catalogue.places(events)[done.place != windows.UNTESTED])
    say(f"catching up: {done.rate:.0f} events/s, recall {done.recall:.3f}, without lag {offline:.3f}")
    return done.figures() | {"offline_recall": offline}
