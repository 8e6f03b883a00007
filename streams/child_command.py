"""The command line of a child process that runs a module of Ouzel."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new process of this Python.

    ``-P`` keeps the current directory out of the import path. Without it, ``-m`` would import a
    `structlog.py` that lies there in place of the installed package.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
