"""Finds data sets by name: `rsc15` is the folder of that name in the folder OUZEL_TEST_DATA."""

from __future__ import annotations

import os
from pathlib import Path


def located(path: Path) -> Path:
    """The path, or the data set of that name if only that exists."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    named = Path(folder) / path if folder else path
    return named if not path.exists() and named.exists() else path
