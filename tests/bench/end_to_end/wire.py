"""One connection to a single broker, to send and fetch batches with as little work as possible.

The generator and the consumer of the benchmark share the cores with what they measure. Over a
producer and a consumer of aiokafka they would take as much time as a worker. The requests and the
records are those of aiokafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

WAIT_MS, TIMEOUT_MS = 500, 30_000
MOST_BYTES, MOST_BYTES_OF_PARTITION = 50_000_000, 4_000_000
BATCH_BYTES = 900_000


class Wire:
    """A connection to a broker that leads every partition of one topic."""

    def __init__(self, connection: Any, topic: str) -> None:
        self._connection = connection
        self._topic = topic

    @classmethod
    async def open(cls, bootstrap: str, topic: str) -> Wire:
        """Connect to a broker, for one topic."""
        host, _, port = bootstrap.rpartition(":")
        return cls(await create_conn(host, int(port)), topic)

    def produce(self, batches: Mapping[int, Batch]) -> asyncio.Future[Any]:
        """Send one batch to each of these partitions at once.

        `refused` tells what the answer says. Requests are answered in the order of their sending,
        and a request does not wait for the answer of another.
        """
        sent = [(partition, batch.build()) for partition, batch in batches.items()]
        request = ProduceRequest(None, -1, TIMEOUT_MS, [(self._topic, sent)])
        return asyncio.ensure_future(self._connection.send(request))

    async def fetch(self, positions: dict[int, int]) -> list[tuple[int, int, bytes | None]]:
        """Wait for records from these positions on. Returns partition, offset and value of each.

        Moves the positions behind the records. The broker answers as soon as it has one, and
        without any after `WAIT_MS`.
        """
        wanted = [(partition, offset, MOST_BYTES_OF_PARTITION) for partition, offset in positions.items()]
        answer = await self._connection.send(FetchRequest(WAIT_MS, 1, MOST_BYTES, 0, [(self._topic, wanted)]))
        found: list[tuple[int, int, bytes | None]] = []
        for _, partitions in answer.topics:
            for partition, code, *rest in partitions:
                if code:
                    raise for_code(code)(f"fetch of {self._topic}-{partition}")
                for offset, value in records(rest[-1], positions[partition]):
                    found.append((partition, offset, value))
                    positions[partition] = offset + 1
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Batch:
    """The records to send to one partition in one request."""

    def __init__(self) -> None:
        self._builder = DefaultRecordBatchBuilder(
            magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
            batch_size=BATCH_BYTES,
        )  # fmt: skip
        self._count = 0

    def append(self, timestamp_ms: int, key: bytes, value: bytes) -> bool:
        """Add a record. Returns False if the batch is full, so that the record is not in it."""
        if self._builder.append(self._count, timestamp_ms, key, value, []) is None:
            return False
        self._count += 1
        return True

    def build(self) -> bytes:
        """The batch as it is sent."""
        return bytes(self._builder.build())


def refused(answer: Any) -> int:
    """How many batches of a request the broker has refused."""
    return sum(bool(code) for _, partitions in answer.topics for _, code, *_ in partitions)


def records(data: bytes, position: int) -> Iterator[tuple[int, bytes | None]]:
    """The offset and value of each record from a position on. A batch may begin before it."""
    batches = MemoryRecords(bytes(data))
    while batches.has_next():
        batch = batches.next_batch()
        if getattr(batch, "is_control_batch", False):
            continue
        for record in batch:
            if record.offset >= position:
                yield record.offset, record.value
