"""Deletion: what stays of a deleted user is a marker, a keyed hash and a time, so that older events do not bring him back."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import msgspec

MARKER = b"d:"
"""What a marker's key begins with, beside ``u:`` and ``s:`` of states."""
MARKER_VERSION = 1
HASH_BYTES = 16


class _Stored(msgspec.Struct, array_like=True, gc=False):
    version: int
    deleted_at: int


class Deleting(NamedTuple):
    """How markers are made: the secret of their hashes, and how long they stay, ``None`` for ever."""

    secret: bytes = b""
    ttl_ms: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def marker_key(user: str, secret: bytes) -> bytes:
    """The key of a user's or anonymous session's marker; it tells nobody who that was who has not the secret."""
    key = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
    return MARKER + blake2b(user.encode(), key=key, digest_size=HASH_BYTES).digest()


def pack_marker(deleted_at: int, source_offset: int) -> bytes:
    """The stored form: 8 bytes of source offset, as every state's, then msgpack. ``deleted_at`` is Kafka time, epoch ms."""
    return source_offset.to_bytes(8, "big") + _encode(_Stored(MARKER_VERSION, deleted_at))


def deleted_at(value: bytes) -> int:
    """Read the stored form. Raises ``msgspec.DecodeError`` on foreign bytes."""
    return _decode(memoryview(value)[8:]).deleted_at
