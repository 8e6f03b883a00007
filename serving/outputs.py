"""Checks the files that a command will write, before it does the work."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from streams.errors import Refused


def require_writable(option: str, path: Path) -> None:
    """Raise `Refused` if this file cannot be written. Creates its folder if that is missing.

    ``option`` is the name of the option or argument, for the message.
    """
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Refused(f"{option}: {path}: {error.strerror}; name a file in a folder that you may write to") from error
