"""A record as Ouzel reads it from Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class KafkaRecord(Protocol):
    """The fields of a record that Ouzel reads, whichever client fetched it.

    aiokafka's and kafka-python's records have these fields, and so has `Record`. Code that reads
    topics uses them, in any thread. A record never changes.
    """

    @property
    def topic(self) -> str:
        """The full name of its topic, including the prefix."""
        ...

    @property
    def partition(self) -> int:
        """Its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its position in the partition. Offsets grow within a partition, and may have gaps."""
        ...

    @property
    def timestamp(self) -> int:
        """Kafka time, epoch ms: when the record was produced, or appended to the log."""
        ...

    @property
    def key(self) -> bytes | None:
        """The key, as bytes; ``None`` if the record has no key."""
        ...

    @property
    def value(self) -> bytes | None:
        """The value, as bytes; ``None`` for a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Names and values, in order; a name may occur more than once."""
        ...


class Record(msgspec.Struct, gc=False):
    """A slim `KafkaRecord`.

    aiokafka's own keep eleven fields in a dict each, which costs too much per event.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
