"""The CPU time and the memory of processes, from /proc: of each by itself, and of its children."""

from __future__ import annotations

import os
from pathlib import Path

from streams.observing.memory import resident_bytes

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far, user and system, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def descendants(pid: int) -> list[int]:
    """The processes that a process and its children have started and that still run."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        of = waiting.pop()
        children = [int(child) for path in _tasks(of) for child in _read(path / "children").split()]
        found += children
        waiting += children
    return found


def cpu_of_descendants(pid: int) -> float:
    """The CPU time so far of all processes that a process has started and that still run."""
    return sum(map(_cpu_or_none, descendants(pid)))


def resident_mb(pid: int) -> float:
    """The resident memory of a process in MB, without its children; 0 if it has ended."""
    return (resident_bytes(pid) or 0) / (1 << 20)


def _cpu_or_none(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except OSError:
        return 0.0


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """The text of a file of /proc; empty if its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
