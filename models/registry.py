"""The models by name."""

from __future__ import annotations

from models.null import NullRecommender
from models.recommender import Recommender


def build(name: str, seed: int) -> Recommender:
    """Make the model of this name. Raises ``ValueError`` for an unknown one."""
    if name == "null":
        return NullRecommender()
    if name == "gru":
        from models.online_gru import OnlineGRU  # noqa: PLC0415  numba and torch take seconds to import

        return OnlineGRU(seed=seed)
    raise ValueError(f"no model named {name}")
