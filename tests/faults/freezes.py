"""Faults that freeze a worker for longer than its session, at each point of the journey."""

from __future__ import annotations

import signal
import time

from faults.card import DELIVERIES, SESSION_TIMEOUT_S, row
from faults.rig import Rig, send, stopped
from support.processes.running import WorkerProcess, wait_until

POINTS = {
    "before-step": DELIVERIES,
    "before-rank": DELIVERIES,
    "before-outputs": DELIVERIES,
    "before-changelog": ("leased",),
    "in-request": ("leased",),
    "before-offsets": ("exactly_once",),
    "before-commit": ("exactly_once",),
    "before-store": DELIVERIES,
    "before-ack": DELIVERIES,
}


def _freeze(rig: Rig) -> None:
    freeze(rig, rig.workers[0])


def freeze(rig: Rig, frozen: WorkerProcess) -> None:
    """Wait until the saboteur has stopped itself; continue it after its session has timed out."""
    wait_until(lambda: stopped(frozen), "frozen", 60)
    began = time.monotonic()
    rig.fresh_since(began)
    rig.wait(max(SESSION_TIMEOUT_S * 1.5 - (time.monotonic() - began), 0))
    send(frozen, signal.SIGCONT)
    rig.wait(3)
    rig.ready()
    rig.fresh_since(time.monotonic())
    rig.recoveries.pop()


for _point, _deliveries in POINTS.items():
    row(f"sigstop-{_point}", sabotage=f"{_point}:stop", deliveries=_deliveries)(_freeze)
