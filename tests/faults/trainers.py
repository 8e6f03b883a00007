"""Faults of the trainer, which is a child of a worker: the rankings go on meanwhile."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

from bench.cpu import descendants
from faults.card import HYBRID, SESSION_TIMEOUT_S, row
from faults.rig import Rig, send, state_of
from support.processes.running import WorkerProcess, wait_until

LONGEST_PAUSE_S = 1.0
"""Rankings never pause for longer when only the trainer fails."""
LOAD = {**HYBRID, "rate": 300.0, "snapshot_every_s": 2.0}


def trainer_of(worker: WorkerProcess) -> int | None:
    """The process id of the worker's trainer, if it runs one."""
    assert worker.process is not None
    children = descendants(worker.process.pid)
    return next((child for child in children if b"streams.training" in Path(f"/proc/{child}/cmdline").read_bytes()), None)


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    return state_of(pid) not in ("", "Z")


def learner(rig: Rig) -> tuple[WorkerProcess, int]:
    """Wait until a worker has a trainer that reports, and return both."""
    found: list[tuple[WorkerProcess, int]] = []

    def learns() -> bool:
        for worker in rig.workers:
            if worker.alive and worker.metrics().get("ouzel_trainer_up") == 1 and (pid := trainer_of(worker)) is not None:
                found.append((worker, pid))
        return bool(found)

    wait_until(learns, "a trainer at work", 60, every_s=0.1)
    return found[0]


def writes(rig: Rig) -> None:
    """Wait until the present trainer has written a snapshot, for the verdict."""
    worker, _ = learner(rig)
    since = time.time()
    wait_until(lambda: worker.metrics().get("ouzel_snapshot_timestamp_seconds", 0) > since, "a snapshot", 60, every_s=0.2)


def no_pause(rig: Rig, since: float) -> None:
    """Check that recommendations have come without a pause since a time of the monotonic clock."""
    arrivals = sorted(at for seen in rig.tail.seen.values() for at, _ in list(seen) if at >= since)
    longest = max(after - before for before, after in zip([since, *arrivals], [*arrivals, time.monotonic()], strict=True))
    rig.notes.append(f"longest pause {longest:.2f} s")
    assert longest <= LONGEST_PAUSE_S, f"rankings paused for {longest:.2f} s"


@row("trainer-kill", **LOAD, may_repeat=False)
def trainer_kill(rig: Rig) -> None:
    """kill -9 the trainer, 20 times."""
    for _ in rig.times(20):
        worker, pid = learner(rig)
        restarts, began = worker.scraped()["ouzel_trainer_restarts_total"], time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda worker=worker, before=restarts: worker.scraped()["ouzel_trainer_restarts_total"] > before, "noticed", 30
        )
        learner(rig)
        no_pause(rig, began)
    writes(rig)


@row("trainer-frozen", **LOAD, may_repeat=False)
def trainer_frozen(rig: Rig) -> None:
    """SIGSTOP the trainer for 30 s."""
    worker, pid = learner(rig)
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    rig.wait(max(30 * rig.scale, 5))
    no_pause(rig, began)
    os.kill(pid, signal.SIGCONT)
    learned = worker.scraped()["ouzel_transitions_learned_total"]
    wait_until(lambda: worker.scraped()["ouzel_transitions_learned_total"] > learned, "learning again", 60)


@row("trainer-out-of-memory", **LOAD, may_repeat=False)
def trainer_out_of_memory(rig: Rig) -> None:
    """Let the trainer get no more memory, 3 times."""
    for _ in rig.times(3):
        worker, pid = learner(rig)
        restarts, began = worker.scraped()["ouzel_trainer_restarts_total"], time.monotonic()
        resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
        wait_until(
            lambda worker=worker, before=restarts: worker.scraped()["ouzel_trainer_restarts_total"] > before, "out of memory", 120
        )
        learner(rig)
        no_pause(rig, began)
    writes(rig)


@row("trainer-orphaned", **LOAD)
def trainer_orphaned(rig: Rig) -> None:
    """kill -9 the worker that runs the trainer, 5 times: the trainer ends, and another learns."""
    for _ in rig.times(5):
        worker, pid = learner(rig)
        began = time.monotonic()
        worker.kill()
        wait_until(lambda pid=pid: not runs(pid), "the orphan ended", 10)
        rig.restart(worker)
        rig.fresh_since(began)
        rig.ready()
    writes(rig)


@row("two-trainers", **LOAD)
def two_trainers(rig: Rig) -> None:
    """Freeze the parent of the trainer until another worker has one, too; then continue it."""
    worker, pid = learner(rig)
    other = next(other for other in rig.workers if other is not worker)
    began = time.monotonic()
    send(worker, signal.SIGSTOP)
    wait_until(lambda: other.metrics().get("ouzel_trainer_up") == 1, "a second trainer", 60)
    assert runs(pid), "the first trainer has ended"
    rig.wait(SESSION_TIMEOUT_S)
    send(worker, signal.SIGCONT)
    rig.fresh_since(began)
    wait_until(lambda: sum(trainer_of(each) is not None for each in rig.workers) == 1, "one trainer, of either worker", 60)
    rig.ready()
    writes(rig)


@row("trainer-cut-off", proxied=True, **LOAD)
def trainer_cut_off(rig: Rig) -> None:
    """Cut all workers and trainers off from the broker for 30 s."""
    assert rig.proxy is not None
    learner(rig)
    rig.proxy.down = True
    rig.proxy.reset()
    rig.wait(max(30 * rig.scale, SESSION_TIMEOUT_S * 1.5))
    rig.proxy.down = False
    began = time.monotonic()
    rig.keep_alive()
    rig.fresh_since(began)
    rig.ready()
    writes(rig)
