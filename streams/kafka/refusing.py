"""Counts and logs the records that a reader of a topic cannot use.

One line for each poll: a topic may be full of such records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from streams.errors import BadData
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

Refuse = Callable[[KafkaRecord, BadData], None]


@contextmanager
def refusing(event: str, count: Callable[[], object]) -> Iterator[Refuse]:
    """Enter a context in which the next records of one partition are applied.

    The result is called with each record that cannot be used, and calls ``count``. At the end, the
    context logs ``event`` with the topic, the partition, the offset of the first such record, the
    offset after the last one, and the number of records for each reason.
    """
    refused, reasons = list[KafkaRecord](), Counter[str]()

    def refuse(record: KafkaRecord, bad: BadData) -> None:
        refused[1:] = [record]
        reasons[bad.reason] += 1
        count()

    try:
        yield refuse
    finally:
        if refused:
            first, last = refused[0], refused[-1]
            log.warning(
                event, topic=first.topic, partition=first.partition, offset=first.offset, before=last.offset + 1, **reasons
            )
