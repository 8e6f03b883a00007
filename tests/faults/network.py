"""Faults of brokers, which are killed or freeze, and of the network to them."""

from __future__ import annotations

import os
import signal
import time

from faults.card import row
from faults.rig import Rig


@row("broker-kill")
def broker_kill(rig: Rig) -> None:
    """kill -9 the broker, 5 times."""
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


@row("proxy", proxied=True, rate=300.0)
def proxy(rig: Rig) -> None:
    """Add 500 ms of latency, and reset every connection, 10 times."""
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
    """Cut the workers off from the broker for 90 s."""
    assert rig.proxy is not None
    rig.proxy.down = True
    rig.proxy.reset()
    rig.wait(max(90 * rig.scale, 15))
    rig.proxy.down = False
    began = time.monotonic()
    rig.keep_alive()
    rig.fresh_since(began)
    rig.ready()


@row("three-brokers", replication=3, rate=200.0)
def three_brokers(rig: Rig) -> None:
    """kill -9 each of three brokers in turn, with replication 3."""
    assert rig.cluster is not None
    for member in rig.cluster.members:
        rig.wait(5)
        began = time.monotonic()
        member.kill()
        rig.fresh_since(began)
        member.restart()
        rig.wait(15)  # until its replicas have caught up: else the next kill leaves one replica in sync
        rig.keep_alive()
        rig.ready()
