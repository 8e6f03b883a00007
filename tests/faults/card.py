"""The fault card: what happens to a pair of workers under load, one function each. Read `rig` for what they are given."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from faults.rig import Fault, Rig, send, stopped
from running import wait_until

from streams.topics import admin, create_topics

SESSION_TIMEOUT_S = 6.0
SHORT = ("kill-one", "kill-before-store", "rolling-sigterm", "sigstop-before-changelog", "events-made-anew")
"""The rows of the short form."""


@dataclass
class Row:
    """A fault and what its rig is made of.

    ``may_repeat``: a crash may leave outputs whose unit comes again. ``after``: what must hold once all is done, judged and
    stopped.
    """

    name: str
    fault: Fault
    may_repeat: bool = True
    after: Callable[[Rig], bool] | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Skipped(Exception):
    """What a fault needs cannot be had here."""


CARD: list[Row] = []


def row(
    name: str, *, may_repeat: bool = True, after: Callable[[Rig], bool] | None = None, **options: Any
) -> Callable[[Fault], Fault]:
    """Put a fault on the card."""

    def add(fault: Fault) -> Fault:
        CARD.append(Row(name, fault, may_repeat, after, options))
        return fault

    return add


@row("none", may_repeat=False)
def none(rig: Rig) -> None:
    """No fault: the check itself."""
    rig.events(20_000)


@row("kill-one")
def kill_one(rig: Rig) -> None:
    """kill -9 one of two workers x20 in 200k events."""
    for number in rig.times(20):
        victim = rig.workers[number % 2]
        began = time.monotonic()
        victim.kill()
        rig.restart(victim)
        rig.fresh_since(began)
        rig.ready()
    rig.events(200_000)


def _kill_all(rig: Rig, wipe: bool) -> None:
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
    """kill -9 both x5."""
    for _ in rig.times(5):
        _kill_all(rig, wipe=False)


@row("delete-everything", model="hybrid", encoder="recency", profile="fast", snapshot_every_s=2.0, rate=300.0)
def delete_everything(rig: Rig) -> None:
    """Kill all and delete every data directory; the model is in memory alone, so it is gone too."""
    for _ in rig.times(3):
        rig.wait(6)
        _kill_all(rig, wipe=True)


@row("kill-before-store", sabotage="before-store:kill")
def kill_before_store(rig: Rig) -> None:
    """kill -9 between changelog delivery and RocksDB write, then fail over."""
    victim = rig.workers[0]
    wait_until(lambda: not victim.alive, "killed before the store", 60)
    rig.fresh_since(time.monotonic())
    rig.restart(victim)
    rig.ready()


@row("blocked-loop", sabotage="blocked-loop:200")
def blocked_loop(rig: Rig) -> None:
    """The event loop blocked 200 ms during commits, then kill -9."""
    for _ in rig.times(5):
        rig.wait(4)
        began = time.monotonic()
        rig.workers[0].kill()
        rig.restart(rig.workers[0])
        rig.fresh_since(began)
        rig.ready()


@row("rolling-sigterm", may_repeat=False)
def rolling_sigterm(rig: Rig) -> None:
    """SIGTERM each worker in turn x10."""
    for number in rig.times(10):
        worker = rig.workers[number % 2]
        began = time.monotonic()
        assert worker.stop(15) == 0, worker.tail()
        rig.fresh_since(began)
        rig.restart(worker)
        rig.ready()


def _freeze(rig: Rig) -> None:
    """Until the saboteur has stopped itself; past the session timeout, SIGCONT."""
    frozen = rig.workers[0]
    wait_until(lambda: stopped(frozen), "stopped", 60)
    began = time.monotonic()
    rig.fresh_since(began)
    rig.wait(max(SESSION_TIMEOUT_S * 1.5 - (time.monotonic() - began), 0))
    send(frozen, signal.SIGCONT)
    rig.wait(3)
    rig.ready()
    rig.fresh_since(time.monotonic())
    rig.recoveries.pop()


for _point in ("before-step", "before-rank", "before-outputs", "before-changelog", "before-store", "before-ack", "in-request"):
    row(f"sigstop-{_point}", sabotage=f"{_point}:stop")(_freeze)


@row("broker-kill")
def broker_kill(rig: Rig) -> None:
    """kill -9 the broker x5."""
    for _ in rig.times(5):
        rig.wait(3)
        began = time.monotonic()
        rig.broker.kill()
        rig.broker.restart()
        rig.keep_alive()
        rig.fresh_since(began)
        rig.ready()


@row("broker-stop")
def broker_stop(rig: Rig) -> None:
    """SIGSTOP the broker for 120 s."""
    assert rig.broker.child is not None
    os.kill(rig.broker.child.pid, signal.SIGSTOP)
    rig.wait(max(120 * rig.scale, 8))
    os.kill(rig.broker.child.pid, signal.SIGCONT)
    began = time.monotonic()
    rig.keep_alive()
    rig.fresh_since(began)
    rig.ready()


@row("rebalance-storm", may_repeat=False, rate=400.0)
def rebalance_storm(rig: Rig) -> None:
    """A third worker joins and leaves x30."""
    third = rig.add_worker()
    third.wait_ready()
    for _ in rig.times(30):
        assert third.stop(15) == 0, third.tail()
        rig.restart(third)
        wait_until(lambda: third.metrics().get("ouzel_ready") == 1, "the third joins", 60)


@row("proxy", proxied=True, rate=300.0)
def proxy(rig: Rig) -> None:
    """500 ms of latency, and every connection reset x10."""
    assert rig.proxy is not None
    rig.proxy.latency_s = 0.25  # each way
    for _ in rig.times(10):
        rig.wait(5)
        began = time.monotonic()
        rig.proxy.reset()
        rig.keep_alive()
        rig.fresh_since(began)
    rig.proxy.latency_s = 0.0


@row("link-down", proxied=True, rate=300.0)
def link_down(rig: Rig) -> None:
    """No way to the broker for 90 s."""
    assert rig.proxy is not None
    rig.proxy.down = True
    rig.proxy.reset()
    rig.wait(max(90 * rig.scale, 15))
    rig.proxy.down = False
    began = time.monotonic()
    rig.keep_alive()
    rig.fresh_since(began)
    rig.ready()


@row("disk-full")
def disk_full(rig: Rig) -> None:
    """A worker's data directory, a small tmpfs, is full; the other takes over until there is room again."""
    victim = rig.workers[0]
    assert victim.stop(15) == 0
    rig.wipe(victim)
    disk = victim.settings.data_dir.parent
    disk.mkdir(exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode:
        raise Skipped("no tmpfs can be mounted here")
    try:
        rig.restart(victim)
        victim.wait_ready()
        rig.wait(3)
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        wait_until(lambda: not victim.alive, "the worker ends", 120)
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


@row("learner-killed-writing", sabotage="in-snapshot:kill:1", model="hybrid", encoder="recency", profile="fast",
     snapshot_every_s=0.5, rate=300.0, workers=1)  # fmt: skip
def learner_killed_writing(rig: Rig) -> None:
    """kill -9 while a snapshot is being written x50."""
    learner = rig.workers[0]
    for _ in rig.times(50):
        wait_until(lambda: not learner.alive, "killed while writing", 60)
        struck = learner.settings.data_dir.parent / "struck-in-snapshot"
        rig.restart(learner)
        rig.fresh_since(time.monotonic())
        struck.unlink()
    wait_until(lambda: not learner.alive, "killed while writing", 60)
    rig.restart(learner)
    rig.ready()
    rig.wait(2)


@row("three-brokers", replication=3, rate=200.0)
def three_brokers(rig: Rig) -> None:
    """Three brokers, replication 3, one killed at a time x3."""
    assert rig.cluster is not None
    for member in rig.cluster.members:
        rig.wait(5)
        began = time.monotonic()
        member.kill()
        rig.fresh_since(began)
        member.restart()
        rig.wait(15)  # its replicas catch up, or the next kill would leave one in sync
        rig.keep_alive()
        rig.ready()


def _refuses(topic: str) -> Callable[[Rig], bool]:
    """Whether a worker that finds this topic made anew ends with 2 and names the way out."""

    def refuses(rig: Rig) -> bool:
        client: Any = admin(rig.settings)
        name = rig.settings.topic(topic)
        client.delete_topics([name])
        wait_until(lambda: name not in client.list_topics(), "deleted", 30)
        client.close()
        create_topics(rig.settings)
        worker = rig.workers[0].start()
        assert worker.process is not None
        return worker.process.wait(60) == 2 and "ouzel reset" in worker.tail()

    return refuses


for _name, _topic in (("events", "events"), ("changelog", "sessions-changelog")):
    row(f"{_name}-made-anew", may_repeat=False, after=_refuses(_topic), workers=1)(none)
