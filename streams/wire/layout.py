"""The layout of a batch of version 2, which Kafka 0.11 introduced, and of its records."""

from __future__ import annotations

import struct

from aiokafka.record.util import calc_crc32c

FRAME = struct.Struct(">qi")
"""Base offset and length, which every batch begins with."""
HEADER = struct.Struct(">qiibIhiqqqhii")
"""The header of a batch of version 2; the records follow it."""
ATTRIBUTES_AT = 21
CODEC_BITS, CONTROL_BIT = 0x07, 0x20
MOST_VARINT_BYTES = 10


def with_records(batch: bytes, records: bytes) -> bytes:
    """Return the batch with other records, which are not compressed, and the checksum of these."""
    base, _, epoch, magic, _, attributes, *rest = HEADER.unpack_from(batch)
    length, attributes = HEADER.size - FRAME.size + len(records), attributes & ~CODEC_BITS
    header = HEADER.pack(base, length, epoch, magic, 0, attributes, *rest)
    crc = calc_crc32c(header[ATTRIBUTES_AT:] + records)
    return HEADER.pack(base, length, epoch, magic, crc, attributes, *rest) + records


def with_readable_names(batch: bytes) -> bytes:
    r"""Return the batch with names of headers that are UTF-8. It must not be compressed.

    Brokers accept a name of any bytes, and clients raise an error for the whole batch. A byte that
    is not UTF-8 becomes its escape, such as ``\xff``, and a null an empty name. Raises
    ``ValueError`` or ``IndexError`` if the records do not have their layout.
    """
    records, at = bytearray(), HEADER.size
    for _ in range(HEADER.unpack_from(batch)[-1]):
        begin, at = _extent(batch, at)
        record = _with_readable_names(batch[begin:at])
        records += _varint(len(record)) + record
    return with_records(batch, bytes(records) + batch[at:])


def _with_readable_names(record: bytes) -> bytes:
    at = 1  # after the attributes
    for _ in ("time", "offset"):
        _, at = _number(record, at)
    for _ in ("key", "value"):
        _, at = _extent(record, at)
    count, at = _number(record, at)
    changed = bytearray(record[:at])
    for _ in range(count):
        begin, at = _extent(record, at)
        name = record[begin:at].decode(errors="backslashreplace").encode()
        changed += _varint(len(name)) + name
        value_from = at
        _, at = _extent(record, at)
        changed += record[value_from:at]
    return bytes(changed) + record[at:]


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Return where the bytes begin and end whose length is at a place; that of a null is -1."""
    length, begin = _number(data, at)
    end = begin + max(length, 0)
    if end > len(data):
        raise ValueError("a length is beyond the end")
    return begin, end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and where it ends. Kafka writes it as a zigzag varint."""
    number = 0
    for place in range(MOST_VARINT_BYTES):
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise ValueError("a number does not end")


def _varint(number: int) -> bytes:
    """Return a number, which is not negative, as a zigzag varint."""
    rest, encoded = number << 1, bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
