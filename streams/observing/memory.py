"""How much memory a process uses."""

from __future__ import annotations

import resource
from pathlib import Path

PAGE_BYTES = resource.getpagesize()


def resident_bytes(process: int | str = "self") -> int | None:
    """The resident memory in bytes of this process, or of that with a process id.

    ``None`` if that has ended, or if the system has no /proc, such as macOS.
    """
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return None
