"""The files of the page: every file they name exists, and they contain nothing forbidden."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from models.encoders.registry import ENCODERS
from models.experts.reasons import REASONS
from models.recommender import POPULAR
from serving.state.selection import CATALOGUE
from streams.printable import UNSAFE

PAGE = Path(str(resources.files("serving"))) / "page"
FILES = sorted(PAGE.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js"]
NAMED = re.compile(r'"/page/([^"]*)"')
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\b|new Function|javascript:")


def test_every_file_that_is_named_exists_and_none_is_unused() -> None:
    named = {name for path in FILES for name in NAMED.findall(path.read_text())}
    assert {"app.js", "frame.css", "ouzel.svg", "api.js"} <= named
    assert {name for name in named if not (PAGE / name).is_file()} == set()
    unused = {path.name for path in FILES} - named - {"index.html", "reference.css"}
    assert unused == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_never_parses_markup_and_is_short(path: Path) -> None:
    text = path.read_text()
    assert MARKUP.findall(text) == []
    assert "https://" not in text.replace("http://www.w3.org", "")
    assert len(text.splitlines()) <= 300


def test_the_html_needs_nothing_that_the_content_security_policy_forbids() -> None:
    text = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", text) == []


def test_every_reason_has_words() -> None:
    text = (PAGE / "reasons.js").read_text()
    for code in (*REASONS, *ENCODERS, POPULAR, CATALOGUE):
        assert re.search(rf"^  {code}: ", text, re.MULTILINE), code


def test_the_page_marks_the_same_characters_that_a_terminal_does_not_get() -> None:
    (listed,) = re.findall(r"UNSAFE = /\[(.*)\]/gu;", (PAGE / "marks.js").read_text())
    assert re.sub(r"\\u\{(\w+)\}", lambda found: rf"\U{int(found[1], 16):08x}", listed) == UNSAFE
