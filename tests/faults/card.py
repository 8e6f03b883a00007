"""The fault card's rows: what happens to a pair of workers under load. Read `rig` for what a fault is given."""

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
)
"""The rows of the short form."""


@dataclass
class Row:
    """A fault and what its rig is made of.

    ``may_repeat``: with leased delivery, a crash may leave outputs whose unit comes again. ``mended``: training goes wrong and is
    rolled back, so that the model is not that of an uninterrupted run. ``after``: what must hold once all is done, judged and
    stopped. ``deliveries``: those for which there is such a fault.
    """

    name: str
    fault: Fault
    may_repeat: bool = True
    mended: bool = False
    after: Callable[[Rig], bool] | None = None
    deliveries: tuple[str, ...] = DELIVERIES
    options: dict[str, Any] = field(default_factory=dict)


class Skipped(Exception):
    """What a fault needs cannot be had here."""


CARD: list[Row] = []


def row(
    name: str, *, may_repeat: bool = True, mended: bool = False, after: Callable[[Rig], bool] | None = None,
    deliveries: tuple[str, ...] = DELIVERIES, **options: Any,
) -> Callable[[Fault], Fault]:  # fmt: skip
    """Put a fault on the card."""

    def add(fault: Fault) -> Fault:
        CARD.append(Row(name, fault, may_repeat, mended, after, deliveries, options))
        return fault

    return add
