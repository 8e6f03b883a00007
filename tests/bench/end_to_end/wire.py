"""Connections to a single broker, to send and fetch batches with as little work as possible.

The generator and the consumer of the benchmark share the cores with what they measure. Over a
producer and a consumer of aiokafka they would take as much time as a worker. The records, and all
answers, are decoded by aiokafka.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceResponse_v7
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

WAIT_MS, TIMEOUT_MS = 500, 30_000
MOST_BYTES, MOST_BYTES_OF_PARTITION = 50_000_000, 4_000_000
BATCH_BYTES = 900_000
PRODUCE, VERSION = 0, 7
CLIENT = b"generator"
ALL_REPLICAS, NO_TRANSACTION = -1, -1
LOOKS_EVERY_S = 0.002


class Sending(asyncio.Protocol):
    """Sends batches to the partitions of a topic, and does not wait for answers.

    A producer waits for the answer to one request before it sends the next. This connection sends
    at once. It keeps the answers as bytes, and `refused` decodes them at the end.
    """

    def __init__(self, topic: str) -> None:
        name = topic.encode()
        self._client = struct.pack(f">h{len(CLIENT)}s", len(CLIENT), CLIENT)
        self._topic = struct.pack(f">hhiih{len(name)}s", NO_TRANSACTION, ALL_REPLICAS, TIMEOUT_MS, 1, len(name), name)
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._answers: list[bytes] = []
        self._sent = 0

    @classmethod
    async def open(cls, bootstrap: str, topic: str) -> Sending:
        """Connect to the broker that leads every partition of this topic."""
        host, _, port = bootstrap.rpartition(":")
        _, made = await asyncio.get_running_loop().create_connection(lambda: cls(topic), host, int(port))
        return made

    def connection_made(self, transport: Any) -> None:
        """Keep the transport. asyncio calls this."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut the answers out of what arrives. asyncio calls this."""
        self._received += data
        while len(self._received) >= 4:
            end = 4 + int.from_bytes(self._received[:4])
            if len(self._received) < end:
                return
            self._answers.append(bytes(self._received[8:end]))  # without the size and the request's number
            del self._received[:end]

    def produce(self, batches: Mapping[int, Batch]) -> None:
        """Send one batch to each of these partitions in one request."""
        assert self._transport is not None
        built = [(partition, batch.build()) for partition, batch in batches.items()]
        parts = [struct.pack(">hhi", PRODUCE, VERSION, self._sent), self._client, self._topic, struct.pack(">i", len(built))]
        for partition, data in built:
            parts += struct.pack(">ii", partition, len(data)), data
        request = b"".join(parts)
        self._transport.write(struct.pack(">i", len(request)) + request)
        self._sent += 1

    async def answered(self, within_s: float) -> None:
        """Wait until the broker has answered every request. Raises `TimeoutError`."""
        async with asyncio.timeout(within_s):
            while len(self._answers) < self._sent:
                await asyncio.sleep(LOOKS_EVERY_S)

    def refused(self) -> int:
        """How many batches the broker has refused, by its answers so far."""
        answers = (ProduceResponse_v7.decode(BytesIO(answer)) for answer in self._answers)
        return sum(bool(code) for answer in answers for _, partitions in answer.topics for _, code, *_ in partitions)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class Fetching:
    """Fetches the records of a topic from the broker that leads every partition of it."""

    def __init__(self, connection: Any, topic: str) -> None:
        self._connection = connection
        self._topic = topic

    @classmethod
    async def open(cls, bootstrap: str, topic: str) -> Fetching:
        """Connect to the broker, for one topic."""
        host, _, port = bootstrap.rpartition(":")
        return cls(await create_conn(host, int(port)), topic)

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
