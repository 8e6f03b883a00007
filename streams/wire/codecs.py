"""Decompresses the batches of Kafka's four codecs, into a bounded amount of memory.

A batch of 1 MB may expand to gigabytes, so the size is checked before memory is used for it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import cramjam

from streams.errors import BadData

CODECS = ("uncompressed", "gzip", "snappy", "lz4", "zstd")
"""Kafka's names of the codecs. A batch has the position of its codec in its attributes."""
MOST_BYTES = 128 << 20
"""A batch that expands to more than this is not used."""
FIRST_GUESS = 64 << 10
GROWTH = 8
GZIP = 31
"""The window bits of zlib that make it read a gzip header."""
XERIAL = b"\x82SNAPPY\x00"
"""Snappy data of Java clients begin with this; two integers and blocks with their sizes follow."""
XERIAL_HEADER = 16
_SIZE = struct.Struct(">I")


class Undecompressable(BadData):
    """The compressed part of a batch is damaged, too large, or of an unknown codec."""


def decompress(codec: int, data: bytes, most: int = MOST_BYTES) -> bytes:
    """Return the decompressed ``data``, at most ``most`` bytes. Raises `Undecompressable`."""
    try:
        return _DECOMPRESS[codec](data, most)
    except KeyError:
        raise Undecompressable("compression", f"its codec has the unknown number {codec}") from None
    except (cramjam.DecompressionError, zlib.error, struct.error) as error:
        raise Undecompressable("compression", f"its {CODECS[codec]} data cannot be decompressed: {error}") from error


def _too_large(most: int) -> Undecompressable:
    return Undecompressable("compression", f"it expands to more than {most} bytes")


def _gzip(data: bytes, most: int) -> bytes:
    """Decompress every member of a gzip file, one after the other."""
    parts, size = list[bytes](), 0
    while data:
        member = zlib.decompressobj(GZIP)
        parts.append(member.decompress(data, most - size + 1))
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        if not member.eof:
            raise Undecompressable("compression", "its gzip data are incomplete")
        data = member.unused_data
    return b"".join(parts)


def _snappy(data: bytes, most: int) -> bytes:
    """Decompress one block, or the blocks of Java clients."""
    blocks = _snappy_blocks(data) if data.startswith(XERIAL) else [data]
    parts, size = list[bytes](), 0
    for block in blocks:
        size += cramjam.snappy.decompress_raw_len(block)
        if size > most:
            raise _too_large(most)
        parts.append(bytes(cramjam.snappy.decompress_raw(block)))
    return b"".join(parts)


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    at = XERIAL_HEADER
    while at < len(data):
        begin = at + _SIZE.size
        at = begin + _SIZE.unpack_from(data, at)[0]
        yield data[begin:at]


def _growing(decompress_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes, int], bytes]:
    """Decompress into a buffer, and try again with a larger one until the data fit."""

    def decompress(data: bytes, most: int) -> bytes:
        size = min(max(GROWTH * len(data), FIRST_GUESS), most)
        while True:
            buffer = bytearray(size)
            try:
                return bytes(memoryview(buffer)[: decompress_into(data, buffer)])
            except cramjam.DecompressionError as error:
                if "whole buffer" not in str(error):
                    raise
                if size == most:
                    raise _too_large(most) from error
            size = min(GROWTH * size, most)

    return decompress


_DECOMPRESS: dict[int, Callable[[bytes, int], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _growing(cramjam.lz4.decompress_into),
    4: _growing(cramjam.zstd.decompress_into),
}
