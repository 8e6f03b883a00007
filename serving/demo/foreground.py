"""The terminal's Ctrl-C for the demo alone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def foreground() -> Iterator[None]:
    """Take the terminal into a process group of our own, and give it back.

    `make` ends with an error when it gets a Ctrl-C, however well its command ended: so let it not get it. Without a
    terminal on stdin, or in the background, nothing changes. SIGTERM and SIGHUP mean the same as Ctrl-C here.
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
    """Stopping cleanly takes seconds, which a second Ctrl-C must not cut short."""
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
    """Returns the group that had the terminal, ``None`` where there is nothing to take."""
    try:
        terminal = sys.stdin.fileno()
        group = os.getpgrp()
        if not os.isatty(terminal) or os.tcgetpgrp(terminal) != group or os.getpid() == group:
            return None
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # `make` would wait for us, and the shell for `make`
        os.setpgid(0, 0)
        _give_terminal(os.getpgrp())
    except (OSError, ValueError):
        return None
    return group


def _give_terminal(group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or the kernel stops us for asking from the background
    try:
        os.tcsetpgrp(sys.stdin.fileno(), group)
    except OSError:
        return
    finally:
        signal.signal(signal.SIGTTOU, before)
