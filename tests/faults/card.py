"""The fault card: each row is a fault that happens to workers under load. It gets a `Rig`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from faults.rig import Fault, Rig

DELIVERIES = ("leased", "exactly_once")
SESSION_TIMEOUT_S = 6.0
HYBRID: dict[str, Any] = {"model": "hybrid", "encoder": "recency", "profile": "fast"}
SHORT = (
    ("kill-one", "leased"),
    ("kill-before-store", "leased"),
    ("rolling-sigterm", "leased"),
    ("sigstop-before-changelog", "leased"),
    ("events-made-anew", "leased"),
    ("kill-one", "exactly_once"),
    ("sigstop-before-commit", "exactly_once"),
    ("intake-kill-before-offsets", "exactly_once"),
    ("two-trainers", "leased"),
)
"""The rows, with their deliveries, that the test suite runs."""


@dataclass
class Row:
    """A fault, and how to run and judge it.

    - ``may_repeat``: leased delivery may repeat outputs, because a crash can come between a unit's
      outputs and its commit.
    - ``rolled_back``: the fault makes training diverge, so the model differs from that of an
      uninterrupted run.
    - ``after``: what must be true once the workers have stopped and the verdict is known.
    - ``deliveries``: the deliveries that the fault applies to.
    - ``rig``: the kind of rig that it happens to, and ``options``: its arguments.
    """

    name: str
    fault: Fault
    may_repeat: bool = True
    rolled_back: bool = False
    after: Callable[[Rig], bool] | None = None
    deliveries: tuple[str, ...] = DELIVERIES
    rig: type[Rig] = Rig
    options: dict[str, Any] = field(default_factory=dict)


class Skipped(Exception):
    """This machine lacks what the fault needs; the message says what."""


CARD: list[Row] = []


def row(
    name: str, *, may_repeat: bool = True, rolled_back: bool = False, after: Callable[[Rig], bool] | None = None,
    deliveries: tuple[str, ...] = DELIVERIES, rig: type[Rig] = Rig, **options: Any,
) -> Callable[[Fault], Fault]:  # fmt: skip
    """Decorate a function that makes a fault happen, to put it on the card; see `Row`."""

    def add(fault: Fault) -> Fault:
        CARD.append(Row(name, fault, may_repeat, rolled_back, after, deliveries, rig, options))
        return fault

    return add
