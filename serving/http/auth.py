"""API keys: who may read, send events, or administer. Only their hashes are kept, and compared in constant time."""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from serving.http.problems import Problem
from serving.state.telemetry import ServingTelemetry
from streams.errors import Refused

Scope = Literal["read", "events", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "events", "admin")
PREFIX = "ouzel"
SECRET_BYTES = 32
_BEARER = b"bearer "
_NOBODY = sha256().hexdigest().encode()
_CHALLENGE = {"www-authenticate": 'Bearer realm="ouzel"'}


class KeysError(Refused):
    """The file of keys is none, or cannot be read or written; one line."""


class Key(msgspec.Struct, forbid_unknown_fields=True):
    """A key as it is kept. ``hash`` is the SHA-256 of the whole key, in hex; ``created_at`` is epoch ms."""

    id: str
    hash: str
    scopes: list[Scope]
    name: str
    created_at: int


class KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file's contents."""

    version: Literal[1]
    keys: list[Key]


def new_key(name: str, scopes: list[Scope], now_ms: int) -> tuple[str, Key]:
    """A key to hand out, and what to keep of it."""
    identity = secrets.token_hex(4)
    text = f"{PREFIX}_{identity}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return text, Key(identity, digest(text.encode()), scopes, name, now_ms)


def digest(key: bytes) -> str:
    """What is kept of a key. It is as long as it is random, so a slow hash would add nothing."""
    return sha256(key).hexdigest()


def read_keys(path: Path) -> list[Key]:
    """The keys of a file. Raises `KeysError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyFile).keys
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is no file of keys: {error}") from error


def write_keys(path: Path, keys: list[Key]) -> None:
    """Write a file of keys, whole or not at all, for its owner's eyes only. Raises `KeysError`."""
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
    """Admits requests. Without a file of keys everybody may do everything, which is for loopback alone."""

    def __init__(self, path: Path | None, telemetry: ServingTelemetry) -> None:
        self._path, self._telemetry = path, telemetry
        self._changed: tuple[int, int] | None = None
        self._keys: dict[bytes, tuple[bytes, frozenset[str]]] = {}
        self.reload()

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._path is not None

    def reload(self) -> bool:
        """Read the file if it has changed: a key that was revoked ends at once. Raises `KeysError`, and then changes nothing."""
        if self._path is None:
            return False
        try:
            status = self._path.stat()
        except OSError as error:
            raise KeysError(f"{self._path}: {error.strerror}") from error
        changed = (status.st_mtime_ns, status.st_ino)
        if changed == self._changed:
            return False
        keys = read_keys(self._path)
        self._keys = {key.id.encode(): (key.hash.encode(), frozenset(key.scopes)) for key in keys}
        self._changed = changed
        return True

    def admit(self, authorization: bytes, scope: str | None) -> None:
        """Raises `Problem` unless an Authorization header holds a key with this scope."""
        if self._path is None or scope is None:
            return
        if not authorization:
            self._refuse("unauthorized", "missing", "send it as: Authorization: Bearer KEY", _CHALLENGE)
        if authorization[: len(_BEARER)].lower() != _BEARER:
            self._refuse("unauthorized", "scheme", "the scheme is Bearer", _CHALLENGE)
        scopes = self.scopes(authorization[len(_BEARER) :].strip())
        if scopes is None:
            self._refuse("unauthorized", "unknown", "no such key", _CHALLENGE)
        if scope not in scopes:
            self._refuse("forbidden", "scope", f"it needs the scope {scope}", {})

    def allows(self, authorization: bytes, scope: str | None) -> bool:
        """The same as a question."""
        if self._path is None or scope is None:
            return True
        return scope in (self.scopes(authorization[len(_BEARER) :].strip()) or ())

    def scopes(self, key: bytes) -> frozenset[str] | None:
        """What a key allows; ``None`` for one that is none."""
        identity = key.split(b"_", 2)[1] if key.count(b"_") >= 2 else b""
        kept = self._keys.get(identity)
        same = hmac.compare_digest(digest(key).encode(), kept[0] if kept is not None else _NOBODY)
        return kept[1] if kept is not None and same else None

    def _refuse(self, kind: str, reason: str, detail: str, headers: dict[str, str]) -> NoReturn:
        self._telemetry.auth_refusals.labels(reason).inc()
        raise Problem(kind, detail, headers=headers)
