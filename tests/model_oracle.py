"""An independent account of the model: the transitions log learned in one go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
from oracle import read_topic

from models.snapshot import take
from streams.model import new_model
from streams.model_log import Shelf
from streams.records import Transition
from streams.settings import Settings
from streams.steps import Steps


def snapshots(settings: Settings) -> Shelf:
    """What the `model` topic holds."""
    shelf = Shelf()
    for record in read_topic(settings, "model"):
        shelf.add(record)
    return shelf


def uninterrupted(settings: Settings, until: int) -> bytes:
    """The snapshot of a model that learned the log up to an offset, and was never stopped.

    On a thread of its own: a model's warm-up makes its thread flush denormals, for good.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_learned, settings, until).result()


def _learned(settings: Settings, until: int) -> bytes:
    model = new_model(settings)
    model.warmup()
    steps = Steps(model.step_size)
    for record in read_topic(settings, "transitions"):
        transition = msgspec.json.decode(record.value, type=Transition)
        for batch, following in steps.add(transition, record.timestamp, record.offset):
            if following <= until:
                model.learn(batch)
    return take(settings.model, model)


def bit_equal(settings: Settings) -> bool:
    """Whether the newest snapshot is that of an uninterrupted model."""
    newest = next(snapshots(settings).newest_first())
    return newest.load() == uninterrupted(settings, newest.manifest.transitions_offset)
