"""Custody of the changelog: what lies between our own batches was written by somebody else, and is answered.

A worker that was frozen within the last microseconds of its lease may write once more after another has taken over. Recovery
takes the highest source offset per key, so such a record does no harm as long as both are there; but compaction keeps the
last one only. So the owner writes its own values of those keys again, after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from streams.delivery.publisher import Placed, Publisher
from streams.errors import Refused
from streams.kafka.outbox import Outbox, Outgoing
from streams.sessions.store import WATERMARK, Changes, SessionStore, removed, watermark_value

log = structlog.get_logger(__name__)

Read = Callable[[int, range], Awaitable[Sequence[Any]]]
"""Reads the changelog records of a partition in a range of offsets; some offsets may hold none."""


class ChangelogReplaced(Refused):
    """The changelog ends before what is stored of it: it was deleted and made anew."""


def gaps(known: int, ours: Sequence[range]) -> list[range]:
    """The offsets between our batches that are not ours. ``known`` is the last one known before. Raises `ChangelogReplaced`."""
    found = []
    for batch in ours:
        if batch.start <= known:
            raise ChangelogReplaced(f"offset {batch.start} was confirmed after {known}: the changelog was made anew")
        if batch.start > known + 1:
            found.append(range(known + 1, batch.start))
        known = batch.stop - 1
    return found


def answers(foreign: Sequence[Any], changes: Changes, stored: Callable[[bytes], bytes | None]) -> list[Outgoing]:
    """Our values of the keys that were written by somebody else, the watermark last; what we do not have is removed."""
    found = list[Outgoing]()
    for key in dict.fromkeys(record.key for record in foreign if record.key not in (None, WATERMARK)):
        value = changes.value(key, stored)
        found.append(removed(key, changes.watermark) if value is None else (key, value, []))
    if foreign:
        found.append((WATERMARK, watermark_value(changes.watermark), []))
    return found


class ChangelogCustody:
    """Settles what others wrote into the changelog before anything is stored."""

    def __init__(self, publisher: Publisher, store: SessionStore, read: Read, topic: str, count: Callable[[int], None]) -> None:
        self._publisher, self._store, self._read = publisher, store, read
        self._topic, self._count = topic, count

    async def settle(self, placed: Placed, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """After a unit's changelog was confirmed in these offsets; returns the last one per partition."""
        known = {partition: self._store.changelog_offset(partition) for _, partition in placed}
        while True:
            outbox = Outbox()
            for (_, partition), ours in placed.items():
                for gap in gaps(known[partition], ours):
                    foreign = await self._read(partition, gap)
                    of_partition = changes[partition]
                    told = answers(foreign, of_partition, lambda key, p=partition: self._store.get(p, key))  # type: ignore[misc]
                    if told:
                        log.warning("foreign_write", partition=partition, first=gap.start, records=len(foreign))
                        self._count(len(foreign))
                        outbox.to(self._topic, partition).extend(told)
                known[partition] = ours[-1].stop - 1
            if not outbox:
                return known
            placed = await self._publisher.publish(outbox, generation)
