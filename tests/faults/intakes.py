"""Faults of the intake, which brings topics of other systems to the events, and of its sources."""

from __future__ import annotations

import random
import time
from functools import cache
from typing import Any

from faults.bad_input import ACCEPTED, CARD, event
from faults.card import DELIVERIES, row
from faults.crashes import kill
from faults.freezes import freeze
from faults.intake_rig import PARTITIONS, IntakeRig
from support.damage.raw_batches import COMPRESS, Raw, batch, packed, produce_batch
from support.processes.running import wait_until

from streams.wire.codecs import MOST_BYTES

AWAY_S = 20.0
EVERYWHERE = (b"", b"null", b"{", b"[1]", b"\xff\xfe")
"""Values that are no events by any rule."""
OF_CLICKS = [value for bad in CARD if bad.becomes != ACCEPTED and (value := bad.record[1]) is not None and len(value) < 500_000]
LEAVERS = 5
POINTS = {"before-outputs": DELIVERIES, "before-offsets": ("exactly_once",), "before-commit": ("exactly_once",)}
BUSY: dict[str, Any] = {"rate": 400.0, "users": 40}
"""While an intake is frozen, each session has many more events than it remembers."""


@row("intake-kill", rig=IntakeRig, rate=400.0)
def intake_kill(rig: IntakeRig) -> None:
    """kill -9 one of two intakes, 20 times in 60,000 events."""
    rng = random.Random(2)
    for number in range(max(3, len(rig.times(20)))):
        rig.wait(rng.uniform(0.2, 1.5))
        kill(rig, rig.intakes[number % 2])
    rig.events(60_000)


@row("intake-kill-before-offsets", rig=IntakeRig, sabotage="before-offsets:kill", rate=400.0)
def intake_kill_before_offsets(rig: IntakeRig) -> None:
    """kill -9 an intake that has written a unit and not committed its offsets, 10 times."""
    victim = rig.intakes[0]
    for _ in rig.times(10):
        wait_until(lambda: not victim.alive, "killed before its offsets", 60)
        (victim.settings.data_dir.parent / "struck-before-offsets").unlink()
        rig.restart(victim)
        rig.fresh_since(time.monotonic())
    wait_until(lambda: not victim.alive, "killed before its offsets", 60)
    rig.restart(victim)
    rig.ready()


def _freeze(rig: IntakeRig) -> None:
    freeze(rig, rig.intakes[0])


for _point, _deliveries in POINTS.items():
    row(f"intake-sigstop-{_point}", rig=IntakeRig, sabotage=f"{_point}:stop", deliveries=_deliveries, **BUSY)(_freeze)


@row("intake-broker-down", rig=IntakeRig, rate=400.0)
def intake_broker_down(rig: IntakeRig) -> None:
    """kill -9 the broker, and start it again after 20 s; meanwhile stop an intake and start it."""
    rig.wait(3)
    rig.broker.kill()
    victim, began = rig.intakes[0], time.monotonic()
    rig.wait(3)
    code = victim.stop(20)
    assert code in (0, 70), f"the intake exited with {code}: {victim.tail()}"
    rig.restart(victim)
    rig.wait(AWAY_S - (time.monotonic() - began))
    rig.broker.restart()
    began = time.monotonic()
    rig.keep_alive()
    rig.fresh_since(began)
    rig.ready()


@row("intake-bad-records", rig=IntakeRig, rate=400.0)
def intake_bad_records(rig: IntakeRig) -> None:
    """Damaged batches, records that are no events, null values, deletions and kill -9; 10 times."""
    for number in rig.times(10):
        rig.send_bad("clicks", OF_CLICKS)
        for name in PARTITIONS:
            rig.send_bad(name, EVERYWHERE)
        for name in ("clicks", "carts", "orders"):
            rig.send(name, [(b"user-1", None, int(time.time() * 1000)), (b"\xff", None, int(time.time() * 1000))])
        _send_damaged(rig)
        _leave(rig, number)
        kill(rig, rig.intakes[number % 2])
    rig.events(20_000)


@cache
def _expanding() -> bytes:
    """One record in some kilobytes of zstd, which expands to more than Ouzel accepts."""
    return COMPRESS["zstd"](packed([Raw(b"k", bytes(MOST_BYTES))]))


def _send_damaged(rig: IntakeRig) -> None:
    """Send batches as no client makes them, which the broker accepts, to every source partition."""
    now = int(time.time() * 1000)
    too_large = batch([Raw(b"k", event())], codec="zstd", compressed=_expanding(), time=now)
    nothing = batch([Raw(None, None)], time=now)
    for name, partitions in PARTITIONS.items():
        for partition in range(partitions):
            for data in (too_large, nothing):
                answer = produce_batch(rig.settings.broker, rig.source(name), data, partition)
                assert answer == "NoError", answer
                rig.count_batch()


def _leave(rig: IntakeRig, round_number: int) -> None:
    """Users come, are deleted, and come again, in order: their topic is keyed by user."""
    now, records = int(time.time() * 1000), []
    for leaver in range(LEAVERS):
        user = f"leaver-{round_number}-{leaver}"
        for step in range(12):
            at = now - 12_000 + step * 1000
            value = None if step in (4, 8) else event(user_id=user, item_id=f"item-{step}", timestamp=at)
            records.append((user.encode(), value, at))
    rig.send("accounts", records)
