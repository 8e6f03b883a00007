"""The progress bar of commands."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def progress_bar(*columns: ProgressColumn | str, transient: bool = False) -> Progress:
    """Return a progress bar on standard error; a ``transient`` one disappears at its end.

    Without a terminal it prints nothing. Rich alone would print an empty line.
    """
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)
