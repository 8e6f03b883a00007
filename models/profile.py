"""The constants that trade accuracy for speed. One set for all data; docs/model.md has what each is worth."""

from __future__ import annotations

from typing import NamedTuple


class Profile(NamedTuple):
    """How much of everything."""

    step_size: int = 16
    """Transitions in a learning step, at most."""
    slots: int = 64
    """Other items in an item's row of the experts."""
    sparse_candidates: int = 80
    net_candidates: int = 40
    negatives: int = 256
    net_replayed: int = 48
    """Old examples that the net learns from again, per step."""
    gate_kept: int = 40
    """Candidates of a query that the gate's ring stores, `gate_at_random` of them at random."""
    gate_at_random: int = 8
    gate_replayed: int = 3
    """Old queries per new one that the gate learns from again, per step of its own."""
    gate_steps: int = 2


PROFILES = {
    "balanced": Profile(),
    "fast": Profile(step_size=32, slots=32, net_replayed=32, gate_kept=32, gate_at_random=6, gate_replayed=1),
}
