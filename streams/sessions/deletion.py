"""Markers of deleted users: a keyed hash and the time of the deletion.

A marker is all that remains of a deleted user. The user's events up to that time are ignored. Pure.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import msgspec

MARKER = b"d:"
"""Prefix of a marker's key. Keys of states begin with ``u:`` or ``s:``."""
MARKER_VERSION = 1
HASH_BYTES = 16


class _Stored(msgspec.Struct, array_like=True, gc=False):
    version: int
    deleted_at: int


class Deleting(NamedTuple):
    """The key of the hashes in markers, and the age at which markers expire (``None``: never)."""

    secret: bytes = b""
    ttl_ms: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def marker_key(user: str, secret: bytes) -> bytes:
    """Return the marker's key. Without the secret it does not reveal the user or session."""
    key = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
    return MARKER + blake2b(user.encode(), key=key, digest_size=HASH_BYTES).digest()


def pack_marker(deleted_at: int, source_offset: int) -> bytes:
    """Return the stored form: 8 bytes of source offset, as in every state, then msgpack.

    ``deleted_at`` is Kafka time in epoch ms.
    """
    return source_offset.to_bytes(8, "big") + _encode(_Stored(MARKER_VERSION, deleted_at))


def deleted_at(value: bytes) -> int:
    """Return the time of the deletion from the stored form.

    Raises ``msgspec.DecodeError`` if the bytes are not a marker.
    """
    return _decode(memoryview(value)[8:]).deleted_at
