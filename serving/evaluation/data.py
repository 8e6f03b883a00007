"""Data sets by name: `rsc15` is the folder of that name where OUZEL_TEST_DATA points."""

from __future__ import annotations

import os
from pathlib import Path


def located(path: Path) -> Path:
    """The path; where there is none, that of the data set of this name, if there is one."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    named = Path(folder) / path if folder else path
    return named if not path.exists() and named.exists() else path
