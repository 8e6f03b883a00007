"""A dead letter: the original bytes, why they are no event, and where they are to be found."""

from __future__ import annotations

from typing import Any

from streams.events.decode import BadRecord
from streams.kafka.outbox import Outgoing

DETAIL_BYTES = 1000


def dead_letter(record: Any, bad: BadRecord, max_bytes: int) -> Outgoing:
    """The letter of a raw Kafka record; key and value are cut, and their lengths told, if no topic would take them."""
    headers = [
        ("reason", bad.reason.encode()),
        ("detail", bad.detail.encode()[:DETAIL_BYTES]),
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset).encode()),
    ]
    key, value, half = record.key, record.value, max_bytes // 2
    if key is not None and len(key) > half:
        headers.append(("key_length", str(len(key)).encode()))
        key = key[:half]
    if value is not None and len(value) > half:
        headers.append(("value_length", str(len(value)).encode()))
        value = value[:half]
    return key, value, headers
