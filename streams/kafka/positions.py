"""Compares stored positions with the logs that they belong to.

A log that ends before a position was deleted, or deleted and created again. To continue at the
position would skip the records that the log contains now, so the position is rejected. If a log
begins after a position, records were removed before they were read, which is noticed. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from streams.errors import OuzelError, Refused

TopicPartition = TypeVar("TopicPartition", bound=tuple[str, int])
"""A topic and a partition: Faust's, aiokafka's or a bare pair."""


class LogWentBack(OuzelError):
    """A log was truncated, or created again, while it was read.

    The next start raises `PositionAhead` if the committed position is beyond the new end.
    """


class PositionAhead(Refused):
    """A stored position is beyond the end of its log. The message says what to do."""


RESET = "Run `ouzel reset` to discard the sessions and read every event again"


def refuse_ahead(stored: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int | None], advice: str = RESET) -> None:
    """Raise `PositionAhead` if a position is beyond the end of its log.

    ``stored`` has the next offset to read of each partition, and ``ends`` the end of its log.
    ``advice`` says what to do.
    """
    for where, following in stored.items():
        topic, partition = where
        end = ends.get(where) or 0
        if following > end:
            raise PositionAhead(
                f"{topic}, partition {partition}: the next offset is {following}, but the log ends at {end}: the topic was "
                f"deleted or created again. {advice}"
            )


class RemovedUnread(Generic[TopicPartition]):
    """Finds the records that were removed from the beginning of logs before they were read.

    It reports each of them once, although the stored position stays the same until a later record
    was processed.
    """

    def __init__(self) -> None:
        self._reported: dict[TopicPartition, int] = {}

    def new(
        self, stored: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, range]:
        """Return the offsets that were removed since the last call, by partition.

        ``stored`` has the next offset to read of each partition: 0 is one that was never read, and
        misses nothing. ``begins`` has the first offset of its log. Transactions and compaction
        leave offsets without records, so a range may be longer than the number of its records.
        """
        removed = {}
        for where, following in stored.items():
            begin, first = begins.get(where) or 0, max(following, self._reported.get(where, 0))
            if following > 0 and first < begin:
                removed[where] = range(first, begin)
                self._reported[where] = begin
        return removed
