"""Custody of the changelog: records between our own batches were written by another worker.

A worker that was frozen within the last microseconds of its lease may write once more after
another has taken over. Recovery takes the highest source offset per key, so such a record does no
harm while the owner's record is there, too. But compaction keeps only the last record of a key, so
the owner writes its own values of those keys again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog

from streams.delivery.publisher import Placed, Publisher
from streams.errors import Refused
from streams.kafka.outbox import Outbox, Outgoing
from streams.sessions.store import WATERMARK, Changes, SessionStore, removed, watermark_value
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

Read = Callable[[int, range], Awaitable[Sequence[KafkaRecord]]]
"""Reads the changelog records of a partition in a range of offsets; some offsets may have none."""


class ChangelogReplaced(Refused):
    """The changelog ends before the offset stored for it: it was deleted and created again."""


def gaps(known: int, ours: Sequence[range]) -> list[range]:
    """Return the ranges of offsets between our batches, and between ``known`` and the first.

    ``known`` is the last offset known before. Raises `ChangelogReplaced` if a batch begins at or
    below a known offset.
    """
    between = []
    for batch in ours:
        if batch.start <= known:
            raise ChangelogReplaced(
                f"the changelog placed a record at offset {batch.start}, but its last known offset is {known}: it was deleted "
                "and created again. Run `ouzel reset` to discard the sessions and read every event again"
            )
        if batch.start > known + 1:
            between.append(range(known + 1, batch.start))
        known = batch.stop - 1
    return between


def answers(foreign: Sequence[KafkaRecord], changes: Changes, stored: Callable[[bytes], bytes | None]) -> list[Outgoing]:
    """Return our values of the keys that another worker wrote, the watermark last.

    The result removes a key for which we have no value.
    """
    outgoing = list[Outgoing]()
    for key in dict.fromkeys(record.key for record in foreign):
        if key is None or key == WATERMARK:
            continue
        value = changes.value(key, stored)
        outgoing.append(removed(key, changes.watermark) if value is None else (key, value, []))
    if foreign:
        outgoing.append((WATERMARK, watermark_value(changes.watermark), []))
    return outgoing


class ChangelogCustody:
    """Overwrites what another worker wrote into the changelog, before a unit is stored.

    ``count`` is called with the number of such records.
    """

    def __init__(self, publisher: Publisher, store: SessionStore, read: Read, topic: str, count: Callable[[int], None]) -> None:
        self._publisher, self._store, self._read = publisher, store, read
        self._topic, self._count = topic, count

    async def settle(self, placed: Placed, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Check the offsets of a unit's changelog for gaps. Returns the last offset per partition.

        Answers are checked in the same way, because the other worker may have written again.
        """
        known = {partition: self._store.changelog_offset(partition) for _, partition in placed}
        while True:
            outbox = Outbox()
            for (_, partition), ours in placed.items():
                for gap in gaps(known[partition], ours):
                    foreign = await self._read(partition, gap)
                    if answer := answers(foreign, changes[partition], partial(self._store.get, partition)):
                        log.warning("foreign_write", partition=partition, first=gap.start, records=len(foreign))
                        self._count(len(foreign))
                        outbox.to(self._topic, partition).extend(answer)
                known[partition] = ours[-1].stop - 1
            if not outbox:
                return known
            placed = await self._publisher.publish(outbox, generation)
