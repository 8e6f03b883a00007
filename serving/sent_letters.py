"""Remembers which dead letters were sent again from this data directory."""

from __future__ import annotations

import os
from collections.abc import Iterable

from streams.errors import Refused
from streams.settings import Settings


class SentLetters:
    """The names of the letters that were sent again, in a file with one name a line."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.data_dir / f"redriven-{settings.app_id}.txt"
        self._folder = settings.data_dir
        try:
            self._names = set(self.path.read_text().splitlines()) if self.path.is_file() else set()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def prepare(self) -> None:
        """Check that `add` can write. Raises `Refused`."""
        self.add(())

    def add(self, names: Iterable[str]) -> None:
        """Remember these letters on disk. Raises `Refused` if the file cannot be written."""
        fresh = [name for name in names if name not in self._names]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.writelines(f"{name}\n" for name in fresh)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unusable(error) from error
        self._names.update(fresh)

    def _unusable(self, error: Exception) -> Refused:
        reason = error.strerror if isinstance(error, OSError) else error
        return Refused(
            f"OUZEL_DATA_DIR: {self.path} cannot be used: {reason}. It says which dead letters were sent again. Name a folder "
            "that this user may write to"
        )
