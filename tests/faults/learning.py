"""What happens to the model: its learner killed, its disks and snapshots spoiled, its training gone wrong."""

from __future__ import annotations

import math
import time

import msgspec
from faults.card import HYBRID, row
from faults.crashes import kill_all
from faults.rig import Rig
from support.model_oracle import snapshots, write_snapshot
from support.running import wait_until

from streams.learning.model_log import Stored

WRITTEN_AT = "ouzel_snapshot_timestamp_seconds"


@row("delete-everything", **HYBRID, snapshot_every_s=2.0, rate=300.0)
def delete_everything(rig: Rig) -> None:
    """Kill all and delete every data directory; the model is in memory alone, so it is gone too."""
    for _ in rig.times(3):
        rig.wait(6)
        kill_all(rig, wipe=True)


@row("learner-killed-writing", sabotage="in-snapshot:kill:1", **HYBRID, snapshot_every_s=0.5, rate=300.0, workers=1)
def learner_killed_writing(rig: Rig) -> None:
    """kill -9 while a snapshot is being written x50, with a whole one before each: else the log to learn again only grows."""
    learner = rig.workers[0]
    for _ in rig.times(50):
        wait_until(lambda: not learner.alive, "killed while writing", 60)
        struck = learner.settings.data_dir.parent / "struck-in-snapshot"
        rig.restart(learner)
        restarted = time.time()
        rig.fresh_since(time.monotonic())
        wait_until(lambda at=restarted: learner.metrics().get(WRITTEN_AT, 0) > at, "a whole snapshot", 60)
        struck.unlink()
    wait_until(lambda: not learner.alive, "killed while writing", 60)
    rig.restart(learner)
    rig.ready()
    rig.wait(2)


@row("snapshot-damaged", **HYBRID, snapshot_every_s=0.5, rate=300.0, workers=1)
def snapshot_damaged(rig: Rig) -> None:
    """The newest snapshot truncated, then flipped, x5: refused, told, and the older one used."""
    (worker,) = rig.workers
    for number in rig.times(10):
        rig.wait(3)
        _wait_for_its_own(rig)
        assert worker.stop(15) == 0, worker.tail()
        whole = _newest(rig)
        assert whole is not None
        first, last = whole.chunks[0], max(whole.chunks)
        spoiled = {0: first[:100] + bytes([first[100] ^ 1]) + first[101:]} if number % 2 else {last: whole.chunks[last][:-1]}
        told = msgspec.structs.replace(whole.manifest, snapshot=f"damaged-{number}", created_at=whole.manifest.created_at + 1)
        write_snapshot(rig.settings, told, whole.chunks | spoiled)
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
    """Until the newest snapshot is one that the worker wrote."""

    def its_own() -> bool:
        newest = _newest(rig)
        return newest is not None and not newest.manifest.snapshot.startswith("damaged")

    wait_until(its_own, "a snapshot of its own", 60, every_s=1)


def _spoiled(rig: Rig) -> None:
    """Until training has been rolled back, and has gone on."""
    (worker,) = rig.workers
    wait_until(lambda: worker.metrics().get("ouzel_rollbacks_total", 0) >= 1, "rolled back", 180)
    back_at = worker.scraped()["ouzel_learning_steps"]
    wait_until(lambda: worker.scraped()["ouzel_learning_steps"] > back_at + 100, "training goes on", 180)
    loss = worker.scraped()["ouzel_loss"]
    rig.notes.append(f"loss {loss:.2f} in the end, rolled back {worker.scraped()['ouzel_rollbacks_total']:.0f} times")
    assert math.isfinite(loss)
    assert loss < 10


for _name, _sabotage in (("nan-injected", "model-nan:60"), ("learning-rate-x100", "model-hot:60")):
    row(_name, sabotage=_sabotage, **HYBRID, snapshot_every_s=1.0, workers=1, mended=True)(_spoiled)
