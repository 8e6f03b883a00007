"""The report of an evaluation is complete, escaped, and shows the figures of the result."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from support.inputs.evaluation_result import measures, result

from serving.evaluation.charts import LABEL_APART, Series, lines
from serving.evaluation.report import render

VOID = {"meta", "line", "path", "circle", "rect"}


class Page(HTMLParser):
    """Checks that tags are balanced, and collects the texts by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.texts = list[str](), list[tuple[str, str]]()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID and tag != "!doctype":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def of(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]


def test_the_best_comes_first_and_in_bold() -> None:
    page = Page(render(result(poor=measures(0.2), good=measures(0.6))))
    assert [text for text in page.of("td") if text in ("poor", "good")][:2] == ["good", "poor"]
    assert "0.6000" in page.of("b")
    assert "0.2000" not in page.of("b")
    assert "–" in page.of("td"), "without predictions there is no recall"


def test_names_of_files_and_methods_are_escaped() -> None:
    text = render(result(**{"<script>": measures(0.5)}))
    page = Page(text)
    assert "<script" not in text
    assert "a<b>.txt" in page.of("h1")


def test_the_report_has_every_chart_and_loads_no_other_file() -> None:
    text = render(result(plain=measures(0.4), hybrid=measures(0.5, gate=[["markov", 0.75], ["age", 0.25]])))
    page = Page(text)
    assert page.of("h2")[:4] == [
        "Recall over the stream",
        "Recall by position in the session",
        "Recall by popularity of the item",
        "Feature importance in the hybrid model",
    ]
    assert text.count("<svg") == 4
    assert "75.0 %" in page.of("text")
    assert not {"2", "2\n0"} & set(page.of("text")), "a group without predictions is not drawn"
    assert "http" not in text.replace("http-equiv", "")


def test_a_method_without_a_gate_or_a_curve_has_no_chart_of_them() -> None:
    text = render(result(plain=measures(0.4, curve=[])))
    assert Page(text).of("h2")[0] == "Recall by position in the session"
    assert text.count("<svg") == 2


@pytest.mark.parametrize("at", [0.0, 0.3, 0.5, 1.0])
def test_the_names_of_lines_that_end_together_do_not_overlap(at: float) -> None:
    series = [Series(f"m{n}", [(0.0, 0.1), (1.0, at)], n) for n in range(12)] + [Series("far", [(0.0, 0.0), (1.0, 1.0)], 0)]
    text = lines(series, ticks=[(0.0, "0"), (1.0, "1")], x_title="x", y_title="y")
    places = sorted(float(part.split('"')[0]) for part in (piece.split(' y="')[1] for piece in text.split('class="name c')[1:]))
    assert len(places) == 13
    assert all(after - before >= LABEL_APART - 0.2 for before, after in pairwise(places))
    assert places[0] > 0
    assert places[-1] <= 340


def test_the_policy_allows_the_style_of_the_report_and_nothing_else() -> None:
    text = render(result(plain=measures(0.4), hybrid=measures(0.5, gate=[["markov", 0.75]])))
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<title>") < text.index("<style>")
    assert re.findall(r"<script|<link|<img|\sstyle=|\son\w+=|javascript:", text) == []


def test_invisible_characters_of_names_are_marked() -> None:
    text = render(
        result(plain=measures(0.5)) | {"dataset": "\u202egpj.csv\u200b\udce9", "command": "ouzel evaluate '\u202ex\x1b'"}
    )
    page = Page(text)
    assert page.of("span") == ["U+202E", "U+200B", "U+DCE9", "U+202E", "U+001B"]
    assert page.of("title") == [r"Evaluation: \u202egpj.csv\u200b\udce9"]
    assert page.of("h1") == ["gpj.csv"]
    text.encode()
    assert re.findall("[\u202e\u200b\x1b]", text) == []


def test_a_name_in_arabic_is_unchanged_and_isolated() -> None:
    assert '<h1 dir="auto">شاي.csv</h1>' in render(result(plain=measures(0.5)) | {"dataset": "شاي.csv"})
