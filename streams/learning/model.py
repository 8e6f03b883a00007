"""Builds the model that the settings describe."""

from __future__ import annotations

from models.recommender import Recommender
from models.registry import build
from streams.settings import Settings


def new_model(settings: Settings) -> Recommender:
    """Build an untrained model."""
    return build(settings.model, settings.seed, encoder=settings.encoder, profile=settings.profile, max_items=settings.max_items)
