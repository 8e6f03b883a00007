"""Finds data sets by name: `rsc15` is the folder of that name in the folder OUZEL_TEST_DATA."""

from __future__ import annotations

import os
from pathlib import Path


def located(path: Path) -> Path:
    """Return the path, or the data set of that name if there is no such path."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    named = Path(folder) / path if folder else path
    # unlike Path.exists, this is false for a name that is too long
    return named if not os.path.exists(path) and os.path.exists(named) else path
