"""The API keys in force. Pure of HTTP and Kafka."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from serving.key_file import KeysError, Version, digest, read_if_changed

GRACE_S = 10.0
"""For how long the earlier keys stay valid while the file cannot be used: it may be replaced."""
_NO_HASH = sha256().hexdigest().encode()
"""Compared in place of the hash of an unknown id, so that the check takes the same time."""


class Keys:
    """The API keys that the server accepts now.

    Without a file of keys, requests need no key. That is only safe on loopback.

    The event loop's thread owns this object: requests call `scopes`, and a task of the service
    calls `reload` every few seconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file. ``clock`` is monotonic, in seconds. Raises `KeysError`."""
        self._path, self._clock = path, clock
        self._version: Version | None = None
        """The version of the file that was read last."""
        self._keys: dict[bytes, tuple[bytes, frozenset[str]]] = {}
        self._unusable_since: float | None = None
        self.refused: str | None = None
        """Why no key is valid; ``None`` as long as the keys of the file are valid."""
        self.reload()

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._path is not None

    def reload(self) -> bool:
        """Read the file again if it has changed, so that a revoked key stops working.

        Returns whether it had changed. Raises `KeysError` if the file cannot be used. The earlier
        keys then stay valid for `GRACE_S`, and after that no key is valid until the file is right:
        a server that kept them could no longer be told that a key is revoked.
        """
        if self._path is None:
            return False
        try:
            read = read_if_changed(self._path, self._version)
        except KeysError as error:
            self._unusable(error)
            raise
        self._unusable_since = self.refused = None
        if read is None:
            return False
        self._version, keys = read
        self._keys = {key.id.encode(): (key.hash.encode(), frozenset(key.scopes)) for key in keys}
        return True

    def _unusable(self, error: KeysError) -> None:
        self._version = None  # what follows is read, even if it is the earlier file
        if self._unusable_since is None:
            self._unusable_since = self._clock()
        if self._clock() - self._unusable_since >= GRACE_S:
            self._keys, self.refused = {}, str(error)

    def scopes(self, key: bytes) -> frozenset[str] | None:
        """Return the scopes of a key, or ``None`` if it is unknown.

        Hashes are compared in constant time.
        """
        identity = key.split(b"_", 2)[1] if key.count(b"_") >= 2 else b""
        stored = self._keys.get(identity)
        same = hmac.compare_digest(digest(key).encode(), stored[0] if stored is not None else _NO_HASH)
        return stored[1] if stored is not None and same else None
