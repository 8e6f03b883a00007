"""The progress bar of commands."""

from __future__ import annotations

from rich.progress import Progress, ProgressColumn

from serving.terminal import terminal


def progress_bar(*columns: ProgressColumn | str, transient: bool = False) -> Progress:
    """Return a progress bar on standard error; a ``transient`` one disappears at its end.

    Without a terminal it prints nothing. Rich alone would print an empty line.
    """
    console = terminal(err=True)
    return Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)
