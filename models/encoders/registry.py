"""The encoders by name. A new one needs a module in this package and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.encoders.encoder import Encoder

ENCODERS = {"gru": ("models.encoders.gru", "GRU"), "recency": ("models.encoders.recency", "RecencySum")}
"""Module and class of each encoder.

A module is imported when its encoder is made, as numba takes seconds.
"""


def encoder(name: str, seed: int) -> Encoder:
    """Make the encoder of this name. Raises ``ValueError`` for an unknown name."""
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}; choose one of {', '.join(ENCODERS)}")
    module, kind = ENCODERS[name]
    made: Encoder = getattr(import_module(module), kind)(seed)
    return made
