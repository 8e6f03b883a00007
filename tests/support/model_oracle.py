"""The oracle of the model: a model that learns the transitions log without interruption."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
from kafka import KafkaProducer
from support.oracle import read_topic

from models.net.guard import finite
from models.snapshot import restore, take
from streams.errors import BadData
from streams.learning.model import new_model
from streams.learning.model_log import Manifest, SnapshotRefused
from streams.learning.snapshot_log import SnapshotLog
from streams.learning.steps import Steps
from streams.learning.transitions import transition_of
from streams.settings import Settings
from streams.training.thinning import Replayed


def snapshots(settings: Settings) -> SnapshotLog:
    """The snapshots in the `model` topic."""
    log = SnapshotLog()
    for record in read_topic(settings, "model"):
        log.add(record)
    return log


def newest_whole(settings: Settings) -> tuple[bytes, Manifest]:
    """The newest snapshot that is whole, and its manifest."""
    for stored in snapshots(settings).newest_first():
        with suppress(SnapshotRefused):
            return stored.load(), stored.manifest
    raise AssertionError("there is no whole snapshot")


def uninterrupted(settings: Settings, manifest: Manifest) -> bytes:
    """The snapshot of a model that has learned the log up to a snapshot without interruption.

    It trains on the steps that the manifest says.

    It learns on a thread of its own, because the warm-up of a model makes its thread flush
    denormals for as long as the thread lives.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_learned, settings, manifest).result()


def _learned(settings: Settings, manifest: Manifest) -> bytes:
    model = new_model(settings)
    model.warmup()
    steps, replayed, begin = Steps(model.step_size), Replayed(manifest.thinned), 0
    for record in read_topic(settings, "transitions"):
        try:
            transition = transition_of(record)
        except BadData:
            continue
        for batch, following in steps.add(transition, record.timestamp, record.offset):
            if following <= manifest.transitions_offset:
                (model.learn if replayed.trains(begin) else model.follow)(batch)
            begin = following
    return take(settings.model, model)


def sound(settings: Settings) -> bool:
    """Whether the newest snapshot is finite and as far as an uninterrupted model.

    That is: the same steps, position and number of items. The parameters may differ, as they do
    after a rollback.
    """
    stored, manifest = newest_whole(settings)
    model, expected = restore(stored), restore(uninterrupted(settings, manifest))
    numbers = all(finite(array) for array in model.state().values() if array.dtype.kind == "f")
    same = (model.steps, model.position, model.vocabulary_size) == (expected.steps, expected.position, expected.vocabulary_size)
    return numbers and same


def write_snapshot(settings: Settings, manifest: Manifest, chunks: Mapping[int, bytes]) -> None:
    """Write a snapshot to the `model` topic: its chunks by number, then its manifest."""
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    name = ("snapshot", manifest.snapshot.encode())
    for number, chunk in chunks.items():
        producer.send(settings.topic("model"), value=chunk, headers=[name, ("chunk", str(number).encode())])
    producer.send(settings.topic("model"), value=msgspec.json.encode(manifest), headers=[name])
    producer.flush()
    producer.close()


def bit_equal(settings: Settings) -> bool:
    """Whether the newest snapshot equals that of an uninterrupted model, byte for byte."""
    stored, manifest = newest_whole(settings)
    return stored == uninterrupted(settings, manifest)
