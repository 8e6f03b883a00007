"""Faults that end workers: kills, SIGTERM and a full disk."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress

from faults.card import Skipped, row
from faults.rig import Rig
from support.processes.running import WorkerProcess, wait_until


@row("none", may_repeat=False)
def none(rig: Rig) -> None:
    """No fault: the check alone."""
    rig.events(20_000)


def kill(rig: Rig, victim: WorkerProcess) -> None:
    """kill -9 a process, restart it, and wait until the outputs are fresh and it is ready."""
    began = time.monotonic()
    victim.kill()
    rig.restart(victim)
    rig.fresh_since(began)
    rig.ready()


@row("kill-one")
def kill_one(rig: Rig) -> None:
    """kill -9 one of two workers, 20 times in 200,000 events."""
    for number in rig.times(20):
        kill(rig, rig.workers[number % 2])
    rig.events(200_000)


def kill_all(rig: Rig, wipe: bool) -> None:
    """kill -9 every worker, delete its data directory if ``wipe``, and restart it."""
    began = time.monotonic()
    for worker in rig.workers:
        worker.kill()
    for worker in rig.workers:
        if wipe:
            rig.wipe(worker)
        rig.restart(worker)
    rig.fresh_since(began)
    rig.ready()


@row("kill-both")
def kill_both(rig: Rig) -> None:
    """kill -9 both workers, 5 times."""
    for _ in rig.times(5):
        kill_all(rig, wipe=False)


@row("kill-before-store", sabotage="before-store:kill")
def kill_before_store(rig: Rig) -> None:
    """kill -9 a worker between changelog and RocksDB; the other one takes over its partitions."""
    victim = rig.workers[0]
    wait_until(lambda: not victim.alive, "killed before the store", 60)
    rig.fresh_since(time.monotonic())
    rig.restart(victim)
    rig.ready()


@row("blocked-loop", sabotage="blocked-loop:200")
def blocked_loop(rig: Rig) -> None:
    """Block the event loop for 200 ms in each commit, then kill -9; 5 times."""
    for _ in rig.times(5):
        rig.wait(4)
        began = time.monotonic()
        rig.workers[0].kill()
        rig.restart(rig.workers[0])
        rig.fresh_since(began)
        rig.ready()


@row("rolling-sigterm", may_repeat=False)
def rolling_sigterm(rig: Rig) -> None:
    """SIGTERM the workers in turn, 10 times."""
    for number in rig.times(10):
        worker = rig.workers[number % 2]
        began = time.monotonic()
        assert worker.stop(15) == 0, worker.tail()
        rig.fresh_since(began)
        rig.restart(worker)
        rig.ready()


@row("rebalance-storm", may_repeat=False, rate=400.0)
def rebalance_storm(rig: Rig) -> None:
    """A third worker joins and leaves, 30 times."""
    third = rig.add_worker()
    third.wait_ready()
    for _ in rig.times(30):
        assert third.stop(15) == 0, third.tail()
        rig.restart(third)
        wait_until(lambda: third.metrics().get("ouzel_ready") == 1, "the third worker ready", 60)


@row("disk-full")
def disk_full(rig: Rig) -> None:
    """Fill the small tmpfs that one worker's data directory is on; the other one takes over.

    The first worker comes back once there is room again.
    """
    victim = rig.workers[0]
    assert victim.stop(15) == 0
    rig.wipe(victim)
    disk = victim.settings.data_dir.parent
    disk.mkdir(exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode:
        raise Skipped("mounting a tmpfs is not permitted")
    try:
        rig.restart(victim)
        victim.wait_ready()
        rig.wait(3)
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        wait_until(lambda: not victim.alive, "the worker ended", 120)
        rig.fresh_since(time.monotonic())
        filler.unlink()
        rig.restart(victim)
        rig.ready()
        rig.finish()
    finally:
        for worker in rig.workers:
            if worker.alive:
                worker.kill()
        kept = rig.folder / "kept"
        shutil.copytree(disk, kept)
        subprocess.run(["umount", str(disk)], check=True)
        shutil.copytree(kept, disk, dirs_exist_ok=True)
