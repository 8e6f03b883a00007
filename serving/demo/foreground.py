"""Makes the terminal send Ctrl-C to the demo only, not to `make`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def foreground() -> Iterator[None]:
    """Give this process a group of its own in the terminal's foreground, and undo it at the end.

    Otherwise `make` gets the Ctrl-C, too, and reports an error even if the demo ends well. Without
    a terminal on stdin, or in the background, the group stays as it is. SIGTERM and SIGHUP raise
    `KeyboardInterrupt`, as Ctrl-C does.
    """
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    group = _take_terminal()
    try:
        yield
    finally:
        if group is not None:
            _give_terminal(group)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore signals: a clean stop takes seconds, and a second Ctrl-C must not interrupt it."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _take_terminal() -> int | None:
    """Take the terminal. Return the group that had it, or ``None`` if nothing has changed."""
    try:
        terminal = sys.stdin.fileno()
        group = os.getpgrp()
        if not os.isatty(terminal) or os.tcgetpgrp(terminal) != group or os.getpid() == group:
            return None
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a stopped demo would block `make` and the shell
        os.setpgid(0, 0)
        _give_terminal(os.getpgrp())
    except (OSError, ValueError):
        return None
    return group


def _give_terminal(group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it would stop a process in the background
    try:
        os.tcsetpgrp(sys.stdin.fileno(), group)
    except OSError:
        return
    finally:
        signal.signal(signal.SIGTTOU, before)
