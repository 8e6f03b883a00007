"""The constants that trade accuracy for speed.

They are the same for all data; docs/model.md has their effect.
"""

from __future__ import annotations

from typing import NamedTuple


class Profile(NamedTuple):
    """Sizes of a model and of its learning step."""

    step_size: int = 32
    """Most transitions of a learning step."""
    slots: int = 64
    """Most other items in an item's row of the experts."""
    sparse_candidates: int = 80
    """Most candidates of a query that the experts propose."""
    net_candidates: int = 40
    """Most candidates of a query that the net proposes."""
    negatives: int = 128
    """Negative items that the examples of the net's step share."""
    net_replayed: int = 48
    """Old examples in each step of the net."""
    gate_kept: int = 24
    """Candidates of a query that the gate stores for replay."""
    gate_at_random: int = 6
    """How many of the stored candidates are chosen at random; the others are the best by score."""
    gate_replayed: int = 3
    """Old queries per new one in each step of the gate."""
    gate_steps: int = 2
    """Steps of the gate per learning step."""


PROFILES = {
    "balanced": Profile(),
    "fast": Profile(slots=32, negatives=256, net_replayed=32, gate_kept=32, gate_replayed=1),
}
