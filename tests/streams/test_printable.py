"""Text from outside is printed without any character that a terminal obeys or that hides."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.printable import UNSAFE, code_points, printable, printable_lines

DRAWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Formats that are drawn: Arabic, Syriac and Kaithi signs around a number."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cHdu\x07", r"\x1b]52;c;cHdu\x07"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202egpj.exe\u2069\u200f\u061c", r"\u202egpj.exe\u2069\u200f\u061c"),
        ("i\u200b1\ufeff\u00ad", r"i\u200b1\ufeff\xad"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("\u2028", r"\u2028"),
        (r"C:\x1b", r"C:\x1b"),
        ("شاي שלום 商品 é 😀", "شاي שלום 商品 é 😀"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_newlines_of_a_layout_are_kept() -> None:
    assert printable_lines("a\nb\r\n\x1b") == "a\nb\\r\n\\x1b"


def test_every_control_format_separator_and_surrogate_of_unicode_is_escaped() -> None:
    unsafe = re.compile(f"[{UNSAFE}]")
    missed = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in DRAWN and not unsafe.match(chr(code))
    ]
    assert missed == []


@given(st.text())
def test_the_parts_and_code_points_of_a_text_are_the_text(text: str) -> None:
    pairs = code_points(text)
    assert "".join(part + (chr(int(code[2:], 16)) if code else "") for part, code in pairs) == text
    assert all(printable(part) == part for part, _ in pairs)
