"""The commands of `ouzel`, a module each."""

from __future__ import annotations


class CliError(Exception):
    """What went wrong, in one line, and the exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code
