"""Batches byte by byte: also such as no producer makes, and sent to a broker as they are."""

from __future__ import annotations

import asyncio
import gzip
import struct
from collections.abc import Sequence
from typing import NamedTuple

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_AT, ATTRIBUTES_AT, RECORDS_AT, DELTA_AT = 17, 21, 61, 23
NOW = 1_790_000_000_000
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
COMPRESS = {
    "none": bytes,
    "gzip": gzip.compress,
    "snappy": snappy_encode,
    "lz4": lz4_encode,
    "zstd": zstd_encode,
}


class Raw(NamedTuple):
    """One record; ``delta`` is its offset minus the batch's, by default its place in the batch."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    delta: int | None = None


def batch(
    records: Sequence[Raw], *, base: int = 0, codec: str = "none", last: int | None = None, compressed: bytes | None = None,
    attributes: int = 0, count: int | None = None, time: int = NOW,
) -> bytes:  # fmt: skip
    """Return a batch of version 2. ``compressed`` replaces its compressed records."""
    compressed = COMPRESS[codec](packed(records)) if compressed is None else compressed
    last = len(records) - 1 if last is None else last
    count = len(records) if count is None else count
    fields = [0, CODECS[codec] | attributes, last, time, time, -1, -1, -1, count]
    return sealed(HEADER.pack(base, HEADER.size - 12 + len(compressed), 0, 2, *fields) + compressed)


def packed(records: Sequence[Raw]) -> bytes:
    """Return the records of a batch without compression."""
    return b"".join(_record(raw, place) for place, raw in enumerate(records))


def sealed(data: bytes) -> bytes:
    """Return a batch with the right checksum."""
    return data[:CRC_AT] + calc_crc32c(data[ATTRIBUTES_AT:]).to_bytes(4, "big") + data[ATTRIBUTES_AT:]


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    """Return the bytes with one bit flipped."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def bomb(size: int) -> bytes:
    """Return zeros that zstd has compressed to less than a thousandth."""
    return bytes(cramjam.zstd.compress(bytes(size)))


def produce_batch(broker: str, topic: str, data: bytes, partition: int = 0) -> str:
    """Send a batch as it is to a topic of this full name.

    Returns the name of the broker's answer; ``NoError`` if it took it.
    """

    async def send() -> str:
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            await producer.partitions_for(topic)
            request = ProduceRequest(None, -1, 10_000, [(topic, [(partition, data)])])
            leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
            answer = await producer.client.send(leader, request)
            ((_, ((_, code, *_),)),) = answer.topics
            return str(for_code(code).__name__)

    return asyncio.run(send())


def _record(raw: Raw, place: int) -> bytes:
    body = bytearray(1)  # attributes
    body += _varint(0) + _varint(place if raw.delta is None else raw.delta)
    body += _bytes(raw.key) + _bytes(raw.value) + _varint(len(raw.headers))
    for name, value in raw.headers:
        body += _bytes(name) + _bytes(value)
    return _varint(len(body)) + bytes(body)


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    rest = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
