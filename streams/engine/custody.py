"""The chain of custody: each unit must follow the last acknowledged one on each partition.

Pure bookkeeping. A unit that went missing between the poll and the agent shows as a gap here, and a gap ends the process
before anything later is committed.
"""

from __future__ import annotations

from streams.engine.unit import Unit
from streams.errors import OuzelError


class CustodyBroken(OuzelError):
    """A unit was acknowledged that does not follow the last acknowledged one."""


class Custody:
    """Offsets handed out, acknowledged and to commit, per partition."""

    def __init__(self) -> None:
        self._delivered: dict[int, int] = {}
        self._acked: dict[int, int] = {}
        self.to_commit: dict[int, int] = {}

    def reset(self) -> None:
        """After a seek the chain begins anew."""
        self._delivered.clear()
        self._acked.clear()

    def forget(self, partitions: set[int]) -> None:
        """These partitions are no longer ours."""
        for partition in partitions:
            self.to_commit.pop(partition, None)
            self._delivered.pop(partition, None)
            self._acked.pop(partition, None)

    def deliver(self, partition: int, last_offset: int) -> int | None:
        """Note what is handed out; returns the last offset handed out before."""
        previous = self._delivered.get(partition)
        self._delivered[partition] = last_offset
        return previous

    def ack(self, unit: Unit) -> None:
        """Note a finished unit. Raises `CustodyBroken`, and notes nothing, when it does not follow the last one."""
        for partition in unit.records:
            if unit.previous[partition] != self._acked.get(partition):
                raise CustodyBroken(
                    f"partition {partition}: unit follows offset {unit.previous[partition]}, "
                    f"last acknowledged {self._acked.get(partition)}"
                )
        for partition, records in unit.records.items():
            self._acked[partition] = records[-1].offset
            self.to_commit[partition] = records[-1].offset + 1
