"""A record as Ouzel reads it from Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class KafkaRecord(Protocol):
    """What Ouzel reads of a record, whichever client fetched it: aiokafka, kafka-python or `Record`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Kafka time, epoch ms: when the record was produced, or appended to the log."""
        ...

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Record(msgspec.Struct, gc=False):
    """A slim `KafkaRecord`. aiokafka's own keeps eleven fields in a dict, which costs too much per event."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
