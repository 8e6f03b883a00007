"""Dead letters: the original bytes, why they are invalid, and where they came from. Pure."""

from __future__ import annotations

from streams.events.bounds import BadRecord
from streams.kafka.outbox import Outgoing
from streams.kafka.record import KafkaRecord
from streams.kafka.unreadable import REASON, unreadable

DETAIL_BYTES = 1000
"""Maximum length of the header `detail`."""


def check_readable(record: KafkaRecord) -> None:
    """Raise `BadRecord` if the record stands in for a batch that could not be read."""
    if record.headers and (batch := unreadable(record)) is not None:
        raise BadRecord(REASON, f"offsets {batch.first} to {batch.last}: {batch.why}")


def dead_letter(record: KafkaRecord, bad: BadRecord, max_bytes: int) -> Outgoing:
    """Return the dead letter of a record. ``max_bytes`` is the size that its topic accepts.

    A key or value longer than half of that is cut, and a header records its full length. The dead
    letter of a batch that could not be read has the bytes of the batch, the first of its offsets
    and, in the header ``last_offset``, the last one.
    """
    batch = unreadable(record)
    headers = [
        ("reason", bad.reason.encode()),
        ("detail", bad.detail.encode()[:DETAIL_BYTES]),
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset if batch is None else batch.first).encode()),
    ]
    if batch is not None:
        headers.append(("last_offset", str(batch.last).encode()))
    key, value, half = record.key, record.value, max_bytes // 2
    if key is not None and len(key) > half:
        headers.append(("key_length", str(len(key)).encode()))
        key = key[:half]
    if value is not None and len(value) > half:
        headers.append(("value_length", str(len(value)).encode()))
        value = value[:half]
    return key, value, headers
