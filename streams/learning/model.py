"""The model that the settings ask for."""

from __future__ import annotations

from models.recommender import Recommender
from models.registry import build
from streams.settings import Settings


def new_model(settings: Settings) -> Recommender:
    """Build the model, which has learned nothing yet."""
    return build(settings.model, settings.seed, encoder=settings.encoder, profile=settings.profile, max_items=settings.max_items)
