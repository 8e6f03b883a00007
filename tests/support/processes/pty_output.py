"""A pseudo-terminal as standard output and standard error of this process."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from serving.cli import main

POISON = (
    "a[/red][bold]:smile:\x1b]52;c;cHdu\x07\x1b[2J\x1b[38;5;199m\x9d0;title\x9c\x7f"
    "\u202e\u2066\u200b\u061c\udce9\r\n\touzel: forged"
)
"""Clipboard, clear, a colour, a title by C1, DEL, bidi, zero width, a surrogate, a forged line."""
ENCODABLE = POISON.replace("\udce9", "")
"""The same for records and files of text, which have no surrogates."""
FILE = POISON.replace("/", "")
"""The same as the name of a file."""
ENCODINGS = ("utf-8", "ascii")
_OWN = re.compile(rb"\r?\x1b\[(?:\?25[lh]|[0-9;]*m|[0-9]*[AGK]|\?2026[hl])")
"""Styles and the moves of the cursor of a progress bar."""
_UNSAFE = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Screen:
    """What was printed to the terminal."""

    def __init__(self) -> None:
        self.raw = b""

    @property
    def text(self) -> str:
        """The text without the styles of our own."""
        return _OWN.sub(b"", self.raw).decode("utf-8", "surrogateescape")

    def assert_harmless(self) -> None:
        """No byte came from a value that a terminal obeys."""
        assert b"\x1b[38;5;199m" not in self.raw, self.raw
        assert _UNSAFE.findall(self.text) == [], self.raw
        assert "\r" not in self.text.replace("\r\n", ""), self.raw
        forged = [line for line in self.text.splitlines() if line.strip().startswith("ouzel: forged")]
        assert forged == [], self.raw


@contextmanager
def on_a_terminal(encoding: str = "utf-8") -> Iterator[Screen]:
    """Make standard output and error a terminal until the context ends, and read what it gets."""
    screen, (ours, theirs) = Screen(), pty.openpty()
    saved = sys.stdout, sys.stderr

    def read() -> None:
        try:
            while data := os.read(ours, 65536):
                screen.raw += data
        except OSError:  # the other side is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    out = os.fdopen(theirs, "w", encoding=encoding, buffering=1)
    try:
        sys.stdout = sys.stderr = out
        yield screen
    finally:
        sys.stdout, sys.stderr = saved
        out.close()
        reader.join(10)
        os.close(ours)


def run(*words: str, encoding: str = "utf-8") -> tuple[int, Screen]:
    """Run a command on a terminal: returns the exit code and what the terminal got."""
    with on_a_terminal(encoding) as screen, pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), screen
