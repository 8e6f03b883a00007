"""The chain of custody: each unit has to follow the last acknowledged one on each partition.

A unit that is lost between the poll and the agent leaves a gap in the chain. The gap ends the
process before any later unit is committed. Pure.
"""

from __future__ import annotations

from streams.engine.unit import Unit
from streams.errors import OuzelError


class CustodyBroken(OuzelError):
    """An acknowledged unit does not follow the last acknowledged one."""


class Custody:
    """The offsets of the events that were handed out, were acknowledged, and may be committed."""

    def __init__(self) -> None:
        self._delivered: dict[int, int] = {}
        self._acked: dict[int, int] = {}
        self.to_commit: dict[int, int] = {}

    def reset(self) -> None:
        """Start a new chain. Call after a seek."""
        self._delivered.clear()
        self._acked.clear()

    def forget(self, partitions: set[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self.to_commit.pop(partition, None)
            self._delivered.pop(partition, None)
            self._acked.pop(partition, None)

    def deliver(self, partition: int, last_offset: int) -> int | None:
        """Note the last offset of a unit in a partition. Returns the one before, if any."""
        previous = self._delivered.get(partition)
        self._delivered[partition] = last_offset
        return previous

    def ack(self, unit: Unit) -> None:
        """Note a finished unit.

        Raises `CustodyBroken`, and notes nothing, if it does not follow the last one.
        """
        for partition in unit.records:
            if unit.previous[partition] != self._acked.get(partition):
                raise CustodyBroken(
                    f"partition {partition}: the unit follows offset {unit.previous[partition]}, but the last acknowledged "
                    f"offset is {self._acked.get(partition)}; the next start reads on from the committed offset"
                )
        for partition, records in unit.records.items():
            self._acked[partition] = records[-1].offset
            self.to_commit[partition] = records[-1].offset + 1
