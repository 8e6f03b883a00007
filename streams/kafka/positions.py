"""Rejects positions beyond the end of their log.

Such a log was deleted, or deleted and created again. To continue at the position would skip the
records that the log contains now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from streams.errors import OuzelError, Refused

TopicPartition = TypeVar("TopicPartition", bound=tuple[str, int])
"""A topic and a partition: Faust's, aiokafka's or a bare pair."""


class LogWentBack(OuzelError):
    """A log was truncated, or created again, while it was read.

    The next start raises `PositionAhead` if the committed position is beyond the new end.
    """


class PositionAhead(Refused):
    """A stored position is beyond the end of its log. The message says what to do."""


def refuse_ahead(stored: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int | None]) -> None:
    """Raise `PositionAhead` if a position is beyond the end of its log.

    ``stored`` has the next offset to read of each partition, and ``ends`` the end of its log.
    """
    for where, following in stored.items():
        topic, partition = where
        end = ends.get(where) or 0
        if following > end:
            raise PositionAhead(
                f"{topic}, partition {partition}: the next offset is {following}, but the log ends at {end}: the topic was "
                "deleted or created again. Run `ouzel reset` to discard the sessions and read every event again"
            )
