"""One poll's raw records: the unit of work, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Unit:
    """Records of the events topic per partition, in offset order, with the group generation that polled them.

    ``previous`` holds, per partition, the last offset handed out before these records since the last seek: the chain of
    custody.
    """

    records: dict[int, list[Any]]
    previous: dict[int, int | None]
    generation: int
