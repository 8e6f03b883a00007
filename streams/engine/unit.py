"""One poll's raw records: the unit of work, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Unit:
    """Records of the events topic per partition, in offset order, with the group generation that polled them.

    ``previous`` holds, per partition, the last offset handed out before these records since the last seek (``None`` for the
    first): the chain of custody. Offsets may have gaps, as logs do.
    """

    records: dict[int, list[Any]]
    generation: int
    previous: dict[int, int | None]
