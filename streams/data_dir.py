"""The data directory of a worker: one process uses it, and its disk takes writes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO

import structlog

from streams.errors import Refused
from streams.settings import SettingsError

log = structlog.get_logger(__name__)

LOCK = "lock"
"""The file that a worker locks for as long as its process lives."""
OURS = (LOCK, "worker-id", "v1", "replay-*.json", "redriven-*.txt")
"""Everything that Ouzel keeps in the folder: workers, `ouzel replay` and `ouzel dead-letters`."""
PROBE_BYTES = 1 << 20
"""How much a worker writes and removes at its start, to find out whether the disk takes it."""
ADVICE = {
    errno.ENOSPC: "Free space on its disk or enlarge it",
    errno.EDQUOT: "Free space or raise the quota of this user",
    errno.EROFS: "Make its disk writable",
    errno.EIO: "Replace its disk",
}
"""What to do about an error of the disk."""
DAMAGE = ("Corruption: ", "IO error: No such file or directory")
"""What RocksDB's errors begin with if its files are damaged or missing."""
SHOWN = 160
"""Characters that are shown of an error about damage."""


class DiskFailed(Refused):
    """The disk of the data directory takes no writes, or its files are damaged.

    The message is one line.
    """


def lock(folder: Path) -> BinaryIO:
    """Lock the folder, which is created if it is missing, until the returned file is closed.

    Raises `SettingsError` if another process has locked it, or if the lock cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("ab")
        _lock(file)
    except BlockingIOError as error:
        raise SettingsError(
            f"OUZEL_DATA_DIR: another worker uses {folder}. Give each worker a folder of its own, or stop the other one"
        ) from error
    except OSError as error:
        raise _unusable(folder, error) from error
    return file


def _lock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    except OSError as error:  # some network file systems have no locks
        log.warning("data_dir_not_locked", file=file.name, reason=error.strerror)


def check_writable(folder: Path) -> None:
    """Write a megabyte into the folder and remove it. Raises `SettingsError` if that fails."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise _unusable(folder, error) from error


def clear(folder: Path) -> list[str]:
    """Remove what Ouzel keeps in the folder, and the folder itself if nothing is left in it.

    Returns the names of what is left: the folder may be one of the user's own. Raises
    `SettingsError` if something cannot be removed.
    """
    try:
        for path in sorted(path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in OURS)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        left = sorted(path.name for path in folder.iterdir())
        if not left and not folder.is_symlink():
            folder.rmdir()
    except OSError as error:
        raise _unusable(folder, error) from error
    return left


def _unusable(folder: Path, error: OSError) -> SettingsError:
    advice = ADVICE.get(error.errno or 0, "Let this user write to it")
    return SettingsError(
        f"OUZEL_DATA_DIR: {folder} cannot be used: {error.strerror}. {advice}, or set OUZEL_DATA_DIR to another folder"
    )


def disk_failure(error: BaseException, folder: Path) -> DiskFailed | None:
    """Return the error in words if RocksDB reports that the disk has failed, or ``None``.

    RocksDB's errors have no class of their own, only the text of the operating system.
    """
    while type(error) is not Exception:
        if error.__cause__ is None:
            return None
        error = error.__cause__
    for number, advice in ADVICE.items():
        reason = os.strerror(number)
        if reason in str(error):
            return DiskFailed(
                f"OUZEL_DATA_DIR: {folder} takes no writes: {reason}. {advice}, then start the worker again: nothing is lost, it "
                "reads the same events once more"
            )
    if str(error).startswith(DAMAGE):
        return DiskFailed(
            f"OUZEL_DATA_DIR: the files in {folder} are damaged: {' '.join(str(error).split())[:SHOWN]}. Delete the folder, then "
            "start the worker again: nothing is lost, it restores its sessions from Kafka"
        )
    return None
