"""API keys: the file with their hashes, and the scopes of each key. Pure of HTTP and Kafka."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from streams.errors import Refused

KeyScope = Literal["read", "events", "admin"]
SCOPES: tuple[KeyScope, ...] = ("read", "events", "admin")
PREFIX = "ouzel"
SECRET_BYTES = 32
_NO_HASH = sha256().hexdigest().encode()
"""Compared in place of the hash of an unknown id, so that the check takes the same time."""


class KeysError(Refused):
    """The file of keys cannot be read, written or decoded. The message is one line."""


class Key(msgspec.Struct, forbid_unknown_fields=True):
    """A key as the file stores it.

    ``hash`` is the SHA-256 of the whole key, in hex; ``created_at`` is epoch ms.
    """

    id: str
    hash: str
    scopes: list[KeyScope]
    name: str
    created_at: int


class KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of the file."""

    version: Literal[1]
    keys: list[Key]


def new_key(name: str, scopes: list[KeyScope], now_ms: int) -> tuple[str, Key]:
    """Make a key. Return its text, which only its user gets, and the entry for the file."""
    identity = secrets.token_hex(4)
    text = f"{PREFIX}_{identity}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return text, Key(identity, digest(text.encode()), scopes, name, now_ms)


def digest(key: bytes) -> str:
    """Return the hash of a key, in hex.

    A key has 256 random bits, so a slow hash would add nothing.
    """
    return sha256(key).hexdigest()


def read_keys(path: Path) -> list[Key]:
    """Read the keys of a file. Raises `KeysError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyFile).keys
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is not a file of keys: {error}. `ouzel keys create` makes one") from error


def write_keys(path: Path, keys: list[Key]) -> None:
    """Replace the file atomically, readable by its owner only. Raises `KeysError`."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(KeyFile(1, keys)), indent=1) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error


class Keys:
    """The API keys that the server accepts now.

    Without a file of keys, requests need no key. That is only safe on loopback.

    The event loop's thread owns this object: requests call `scopes`, and a task of the service
    calls `reload` every few seconds.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the file. Raises `KeysError`."""
        self._path = path
        self._version: tuple[int, int] | None = None
        """Modification time and inode of the file when it was last read."""
        self._keys: dict[bytes, tuple[bytes, frozenset[str]]] = {}
        self.reload()

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._path is not None

    def reload(self) -> bool:
        """Read the file again if it has changed, so that a revoked key stops working.

        Returns whether it had changed. If it raises `KeysError`, the earlier keys stay valid.
        """
        if self._path is None:
            return False
        try:
            status = self._path.stat()
        except OSError as error:
            raise KeysError(f"{self._path}: {error.strerror}") from error
        version = (status.st_mtime_ns, status.st_ino)
        if version == self._version:
            return False
        keys = read_keys(self._path)
        self._keys = {key.id.encode(): (key.hash.encode(), frozenset(key.scopes)) for key in keys}
        self._version = version
        return True

    def scopes(self, key: bytes) -> frozenset[str] | None:
        """Return the scopes of a key, or ``None`` if it is unknown.

        Hashes are compared in constant time.
        """
        identity = key.split(b"_", 2)[1] if key.count(b"_") >= 2 else b""
        stored = self._keys.get(identity)
        same = hmac.compare_digest(digest(key).encode(), stored[0] if stored is not None else _NO_HASH)
        return stored[1] if stored is not None and same else None
