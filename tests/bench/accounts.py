"""The CPU time of a run by process, and what else used the machine meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.cpu import TICKS, cpu_of_descendants, cpu_seconds

TRAINER = "trainer"
WHOLE = ("broker",)
"""Processes that count with all their children."""


class Account(NamedTuple):
    """CPU seconds so far: of each part of the run by its name, and of the whole machine.

    ``at`` is the time of the monotonic clock.
    """

    at: float
    parts: Mapping[str, float]
    machine: float


def account(parts: Mapping[str, Sequence[int]]) -> Account:
    """Read the CPU time of the processes with these ids.

    Part "worker" is the workers alone. What they started, such as a trainer, is part `TRAINER`.
    """
    seconds = dict[str, float]()
    for name, pids in parts.items():
        seconds[name] = sum(cpu_seconds(pid) for pid in pids)
        if name in WHOLE:
            seconds[name] += sum(cpu_of_descendants(pid) for pid in pids)
        elif name == "worker":
            seconds[TRAINER] = sum(cpu_of_descendants(pid) for pid in pids)
    return Account(time.monotonic(), seconds, _machine())


def per_event(before: Account, after: Account, events: int) -> dict[str, float]:
    """CPU microseconds per event of each part, between two accounts with so many events."""
    return {name: (after.parts[name] - before.parts[name]) / max(events, 1) * 1e6 for name in after.parts}


def shares(before: Account, after: Account) -> dict[str, float]:
    """The share of all cores that the run used, and the share that the rest of the machine used."""
    whole = (after.at - before.at) * (os.cpu_count() or 1)
    ours = sum(after.parts.values()) - sum(before.parts.values())
    return {"run": ours / whole, "others": (after.machine - before.machine - ours) / whole}


def _machine() -> float:
    """CPU seconds that all cores have spent on any process since the start of the machine."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, hard, soft = map(int, fields[:7])
    return (user + nice + system + hard + soft) / TICKS
