"""An independent account of the model: the transitions log learned in one go."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec
from kafka import KafkaProducer
from support.oracle import read_topic

from models.net.guard import finite
from models.snapshot import restore, take
from streams.events.records import Transition
from streams.learning.model import new_model
from streams.learning.model_log import Manifest, SnapshotLog
from streams.learning.steps import Steps
from streams.settings import Settings


def snapshots(settings: Settings) -> SnapshotLog:
    """What the `model` topic holds."""
    shelf = SnapshotLog()
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


def sound(settings: Settings) -> bool:
    """Whether the newest snapshot has every step and position of an uninterrupted model, and only numbers."""
    newest = next(snapshots(settings).newest_first())
    found, expected = restore(newest.load()), restore(uninterrupted(settings, newest.manifest.transitions_offset))
    numbers = all(finite(array) for array in found.state().values() if array.dtype.kind == "f")
    same = (found.steps, found.position, found.vocabulary_size) == (expected.steps, expected.position, expected.vocabulary_size)
    return numbers and same


def write_snapshot(settings: Settings, manifest: Manifest, chunks: Mapping[int, bytes]) -> None:
    """Put a snapshot of our own making into the log."""
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    name = ("snapshot", manifest.snapshot.encode())
    for number, chunk in chunks.items():
        producer.send(settings.topic("model"), value=chunk, headers=[name, ("chunk", str(number).encode())])
    producer.send(settings.topic("model"), value=msgspec.json.encode(manifest), headers=[name])
    producer.flush()
    producer.close()


def bit_equal(settings: Settings) -> bool:
    """Whether the newest snapshot is that of an uninterrupted model."""
    newest = next(snapshots(settings).newest_first())
    return newest.load() == uninterrupted(settings, newest.manifest.transitions_offset)
