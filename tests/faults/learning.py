"""Faults of the model: its learner is killed, disks or snapshots are lost, training diverges."""

from __future__ import annotations

import math
import time
from functools import partial

import msgspec
from faults.card import HYBRID, row
from faults.crashes import kill_all
from faults.rig import Rig
from support.model_oracle import snapshots, write_snapshot
from support.processes.running import WorkerProcess, wait_until

from streams.learning.model_log import Stored

WRITTEN_AT = "ouzel_snapshot_timestamp_seconds"


@row("delete-everything", **HYBRID, snapshot_every_s=2.0, rate=300.0)
def delete_everything(rig: Rig) -> None:
    """kill -9 all workers and delete every data directory, 3 times.

    The model is only in memory and in Kafka, so each kill loses the copy in memory, too.
    """
    for _ in rig.times(3):
        rig.wait(6)
        kill_all(rig, wipe=True)


@row("learner-killed-writing", sabotage="in-snapshot:kill:1", **HYBRID, snapshot_every_s=0.5, rate=300.0, workers=1)
def learner_killed_writing(rig: Rig) -> None:
    """kill -9 the trainer while it writes a snapshot, 50 times.

    A complete snapshot precedes each kill; otherwise the log to learn again would only grow.
    """
    learner = rig.workers[0]
    struck = learner.settings.data_dir.parent / "struck-in-snapshot"
    for _ in rig.times(50):
        wait_until(struck.exists, "killed while writing", 60)
        began = time.time()
        wait_until(partial(_has_written, learner, began), "a complete snapshot", 60)
        struck.unlink()
    wait_until(struck.exists, "killed while writing", 60)
    wait_until(partial(_has_written, learner, time.time()), "a complete snapshot", 60)


def _has_written(learner: WorkerProcess, since: float) -> bool:
    """Whether the learner has written a snapshot since an epoch time in seconds."""
    return learner.metrics().get(WRITTEN_AT, 0) > since


@row("snapshot-damaged", **HYBRID, snapshot_every_s=0.5, rate=300.0, workers=1)
def snapshot_damaged(rig: Rig) -> None:
    """Damage the newest snapshot, by a missing byte and by a flipped bit in turn, 10 times.

    The worker must refuse and log it, and use the older one.
    """
    (worker,) = rig.workers
    for number in rig.times(10):
        rig.wait(3)
        _wait_for_its_own(rig)
        assert worker.stop(15) == 0, worker.tail()
        intact = _newest(rig)
        assert intact is not None
        first, last = intact.chunks[0], max(intact.chunks)
        damaged = {0: first[:100] + bytes([first[100] ^ 1]) + first[101:]} if number % 2 else {last: intact.chunks[last][:-1]}
        manifest = msgspec.structs.replace(
            intact.manifest, snapshot=f"damaged-{number}", created_at=intact.manifest.created_at + 1
        )
        write_snapshot(rig.settings, manifest, intact.chunks | damaged)
        began = time.monotonic()
        rig.restart(worker)
        rig.fresh_since(began)
        rig.ready()
        assert worker.scraped()["ouzel_refused_snapshots_total"] >= 1
        assert f"damaged-{number}" in worker.log.read_text()
    _wait_for_its_own(rig)


def _newest(rig: Rig) -> Stored | None:
    return next(snapshots(rig.settings).newest_first(), None)


def _wait_for_its_own(rig: Rig) -> None:
    """Wait until the newest snapshot is one that the worker wrote."""

    def its_own() -> bool:
        newest = _newest(rig)
        return newest is not None and not newest.manifest.snapshot.startswith("damaged")

    wait_until(its_own, "a snapshot written by the worker", 60, every_s=1)


def _rolled_back(rig: Rig) -> None:
    """Wait until training has been rolled back and has continued with a finite, small loss."""
    (worker,) = rig.workers
    wait_until(lambda: worker.metrics().get("ouzel_rollbacks_total", 0) >= 1, "rolled back", 180)
    back_at = worker.scraped()["ouzel_learning_steps"]
    wait_until(lambda: worker.scraped()["ouzel_learning_steps"] > back_at + 100, "100 more steps", 180)
    loss = worker.scraped()["ouzel_loss"]
    rig.notes.append(f"final loss {loss:.2f}, rolled back {worker.scraped()['ouzel_rollbacks_total']:.0f} times")
    assert math.isfinite(loss)
    assert loss < 10


for _name, _sabotage in (("nan-injected", "model-nan:60"), ("learning-rate-x100", "model-hot:60")):
    row(_name, sabotage=_sabotage, **HYBRID, snapshot_every_s=1.0, workers=1, rolled_back=True)(_rolled_back)
