"""Faults of load: a burst beyond capacity, and a large number of sessions to recover."""

from __future__ import annotations

import time

from faults.card import HYBRID, row
from faults.rig import Rig
from support.journey import clicks
from support.processes.running import WorkerProcess, wait_until

MOST_GROWTH = 1.25
MOST_GROWTH_MB = 60.0
BURST = 10
FILL = 300_000
RECOVERED_WITHIN_S = 2.0


@row("burst", **HYBRID, published=5, snapshot_every_s=10.0, rate=300.0, workers=1, may_repeat=False)
def burst(rig: Rig) -> None:
    """Send ten times what the worker can do in 20 s, at once.

    The lag must grow, memory must not, and nothing may be dropped.
    """
    (worker,) = rig.workers
    capacity = _capacity(rig, worker)
    before = worker.memory_mb()
    assert worker.stop(15) == 0, worker.tail()
    backlog = rig.produce(clicks(round(capacity * BURST * max(20 * rig.scale, 2)), users=20_000, seed=77))
    rig.restart(worker)
    began, highest, most_lag = time.monotonic(), 0.0, 0.0
    while worker.done() < backlog:
        assert worker.alive, worker.tail()
        highest, most_lag = max(highest, worker.memory_mb()), max(most_lag, worker.lag())
        rig.wait(0.5)
    rig.notes.append(
        f"capacity {capacity:.0f} events/s, lag up to {most_lag:.0f}, done after {time.monotonic() - began:.0f} s, "
        f"memory {before:.0f} MB before and at most {highest:.0f} MB"
    )
    assert most_lag > BURST * capacity, rig.notes
    assert 0 < highest < before * MOST_GROWTH + MOST_GROWTH_MB, rig.notes


def _capacity(rig: Rig, worker: WorkerProcess) -> float:
    """The worker's events per second on a backlog.

    The backlog also fills the sessions and the bounded caches, so that memory before the burst is
    that of a worker with full caches.
    """
    done, began = worker.done(), time.monotonic()
    produced = rig.produce(clicks(max(round(FILL * rig.scale), 20_000), users=20_000, seed=78))
    wait_until(lambda: worker.done() >= done + produced, "the backlog done", 300)
    return produced / (time.monotonic() - began)


@row("recover-100k", workers=1, may_repeat=False)
def recover_many(rig: Rig) -> None:
    """Recover 100,000 sessions from the changelog within 2 s."""
    (worker,) = rig.workers
    sessions = rig.produce(((f"u{n}".encode(), value) for n, value in enumerate(_one_each(round(100_000 * rig.scale)))))
    wait_until(lambda: worker.done() >= sessions and worker.lag() < 1000, "all sessions done", 300)
    assert worker.stop(15) == 0, worker.tail()
    rig.wipe(worker)
    began = time.monotonic()
    rig.restart(worker)
    rig.fresh_since(began)
    rig.ready()
    took = worker.scraped()["ouzel_recovery_seconds"]
    rig.notes.append(f"{sessions} sessions recovered in {took:.2f} s, including the join")
    assert took <= RECOVERED_WITHIN_S, rig.notes


def _one_each(count: int) -> list[bytes]:
    """One event of each of ``count`` users."""
    return [
        b'{"event_id": "o%d", "user_id": "u%d", "item_id": "item-%d", "timestamp": %d}' % (n, n, n % 200, 1_700_000_000_000 + n)
        for n in range(count)
    ]
