"""Makes text from outside safe to print: a terminal obeys control characters, wherever they are.

Records, file names, answers of servers and settings may contain anything. An escape sequence in
them could set the title of a terminal, write to its clipboard or clear it, and an override of the
text direction could show an id as another one.
"""

from __future__ import annotations

import re

UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    r"\ud800-\udfff"
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The characters that are escaped, as ranges in the class of a regular expression.

They are controls, bidi controls, characters that are drawn as nothing, separators of lines, and
surrogates, which no encoding has. The page has the same list, in ``marks.js``.
"""
_UNSAFE = re.compile(f"[{UNSAFE}]")
_INSIDE_LINES = re.compile(f"(?!\n)[{UNSAFE}]")


def printable(text: str) -> str:
    r"""Return a text with every unsafe character escaped, for example ESC as ``\x1b``.

    A newline and a tab are escaped too: a value must not begin a line of its own. The lines of a
    layout are separate texts; see `printable_lines` for a text that has the layout's lines.
    """
    return _UNSAFE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """Do the same for a text whose newlines are part of the layout."""
    return _INSIDE_LINES.sub(_escaped, text)


def code_points(text: str) -> list[tuple[str, str]]:
    """Split a text into pairs: a part that is safe, and the unsafe character after it as U+202E.

    The last pair has no character after it.
    """
    parts, begin = list[tuple[str, str]](), 0
    for match in _UNSAFE.finditer(text):
        parts.append((text[begin : match.start()], f"U+{ord(match[0]):04X}"))
        begin = match.end()
    return [*parts, (text[begin:], "")]


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
