"""The file of API keys: its format, who may write to it, and how it is changed."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from streams.errors import Refused

KeyScope = Literal["read", "events", "admin"]
SCOPES: tuple[KeyScope, ...] = ("read", "events", "admin")
PREFIX = "ouzel"
SECRET_BYTES = 32
LOCK_WITHIN_S = 10.0
"""How long a command waits for another one that changes the same file."""
LOCK_EVERY_S = 0.02
MOST_BYTES = 10_000_000
"""Maximum length of the file: 50,000 keys."""
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class KeysError(Refused):
    """The file of keys cannot be read, decoded or trusted. The message is one line."""


class KeysNotWritten(KeysError):
    """The file of keys cannot be written. The message is one line."""


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


class Version(NamedTuple):
    """What differs between two versions of the file."""

    device: int
    inode: int
    modified_ns: int
    changed_ns: int
    length: int


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
    """Read the keys of a file. Raises `KeysError`, also if others could have written them."""
    read = read_if_changed(path, None)
    assert read is not None  # every version differs from none
    return read[1]


def read_if_changed(path: Path, version: Version | None) -> tuple[Version, list[Key]] | None:
    """Read the file if it has another version. Return its version and keys.

    The file must belong to this process's user or to root, and nobody else may write to it: who
    can write to it can make keys. Its folder is not checked. Who can write to the folder can only
    put a file of their own there, which is refused. Symbolic links are followed, because Kubernetes
    mounts secrets by them. Raises `KeysError`.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_owner(path, status)
            now = Version(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
            return None if now == version else (now, _decoded(path, file.read(MOST_BYTES + 1)))
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error


def _open_at_once(path: str, flags: int) -> int:
    """Open a file. A pipe would otherwise wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeysError(f"{path} is not a regular file")
    user = os.geteuid()
    if status.st_uid not in (user, 0):
        raise KeysError(f"{path} belongs to the user {status.st_uid}, who could make keys: give it to the user {user} or to root")
    if status.st_mode & _WRITABLE_BY_OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise KeysError(f"{path} has the mode {mode:04o}, so others could make keys: run chmod go-w {path}")


def _decoded(path: Path, text: bytes) -> list[Key]:
    if len(text) > MOST_BYTES:
        raise KeysError(f"{path} is larger than {MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(text, type=KeyFile).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is not a file of keys: {error}. `ouzel keys create` makes one") from error


@contextmanager
def changing_keys(path: Path) -> Iterator[list[Key]]:
    """Yield the keys of a file, for the caller to change, and write them at the end.

    A file that does not exist yet has none. Nobody else changes the file in between: two commands
    at the same time would otherwise lose one of the changes. Nothing is written if the caller
    raises. Raises `KeysError`, and `KeysNotWritten` for what prevents writing.
    """
    target = _target(path)
    with _locked(path, target):
        keys = read_keys(path) if target.exists() else []
        yield keys
        write_keys(path, keys)


def write_keys(path: Path, keys: list[Key]) -> None:
    """Replace the file atomically. Raises `KeysNotWritten`.

    A new file is readable by its owner only. A file that is replaced remains readable by whom it
    was, because a server may run as another user. A symbolic link stays, and the file that it names
    is replaced.
    """
    target = _target(path)
    try:
        number, partial = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
        try:
            with open(number, "wb") as out:
                _readable_as(target, out.fileno())
                out.write(msgspec.json.format(msgspec.json.encode(KeyFile(1, keys)), indent=1) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            Path(partial).replace(target)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KeysNotWritten(f"{path}: {error.strerror}") from error


def _readable_as(target: Path, number: int) -> None:
    """Let an open file be read by whom another file can be read, if that exists."""
    with suppress(FileNotFoundError):
        before = target.stat()
        with suppress(PermissionError):
            os.fchown(number, -1, before.st_gid)
        os.fchmod(number, 0o600 | (before.st_mode & (stat.S_IRGRP | stat.S_IROTH)))


def _target(path: Path) -> Path:
    """Return the file that a path names, after all symbolic links."""
    return Path(os.path.realpath(path))


@contextmanager
def _locked(path: Path, target: Path) -> Iterator[None]:
    """Hold the exclusive lock of a file: the lock of ``NAME.lock`` beside it.

    The file itself cannot be locked, because it is replaced. The lock file stays.
    """
    lock = target.with_name(target.name + ".lock")
    try:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeysNotWritten(f"{path}: {lock.name} in its folder cannot be locked: {error.strerror}") from error
    try:
        until = time.monotonic() + LOCK_WITHIN_S
        while not _try_lock(number):
            if time.monotonic() > until:
                raise KeysNotWritten(f"{path}: another command holds {lock} for more than {LOCK_WITHIN_S:g} s: retry later")
            time.sleep(LOCK_EVERY_S)
        yield
    finally:
        os.close(number)


def _try_lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
