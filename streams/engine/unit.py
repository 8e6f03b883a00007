"""The unit of work: the records of one poll, processed as a whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from streams.wire.record import Record


@dataclass(slots=True)
class Unit:
    """Records of the events topic per partition, in offset order.

    ``generation`` is the group's at the poll. ``previous`` is the chain of custody: per partition,
    the last offset that was handed out before these records since the last seek, or ``None`` if
    there is none. Offsets may have gaps, as logs do.
    """

    records: dict[int, list[Record]]
    generation: int
    previous: dict[int, int | None]
