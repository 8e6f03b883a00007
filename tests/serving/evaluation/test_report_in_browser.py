"""The report in a real browser: its policy blocks every script, and keeps its looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import chromium
from support.browser.chromium import Page
from support.inputs.evaluation_result import measures, result

from serving.evaluation.report import render

if not (chromium.CHROMIUM and chromium.DRIVER):
    pytest.skip(
        "chromium or chromedriver is not installed (on Debian: apt install chromium chromium-driver)", allow_module_level=True
    )

ATTACKS = """
<script>document.title = "ran"</script>
<img src="data:image/png;base64,AA" onerror="document.title = 'ran'">
<svg onload="document.title = 'ran'"></svg>
<a id="link" href="javascript:document.title='ran'">link</a>
<style>h1 { color: rgb(1, 2, 3) !important; }</style>
<p id="inline" style="color: rgb(1, 2, 3)">styled</p>
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """One browser for all tests of this module."""
    with chromium.browsing("") as page:
        yield page


def opened(browser: Page, folder: Path, text: str) -> Page:
    (folder / "index.html").write_text(text, encoding="utf-8")
    browser.driver.get((folder / "index.html").as_uri())
    return browser


def report(**more: object) -> str:
    methods = {"hybrid": measures(0.5, gate=[["markov", 0.75], ["age", 0.25]]), "popularity": measures(0.2)}
    return render(result(**methods) | more)


def test_the_report_looks_as_designed_and_its_console_is_empty(browser: Page, tmp_path: Path) -> None:
    names = {
        "dataset": "clicks \u202egpj.csv + شاي \u200b.csv",
        "command": "ouzel evaluate 'clicks \u202egpj.csv' 'شاي \u200b.csv'",
    }
    page = opened(browser, tmp_path, report(**names))
    for width, theme in ((1440, "light"), (390, "dark")):
        page.wide(width)
        page.prefer(color_scheme=theme)
        page.driver.save_screenshot(str(chromium.screenshots() / f"report-{theme}-{width}.png"))
        ground = page.run("return getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 27, 31)"}[theme]
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"
    assert page.run("return getComputedStyle(document.querySelector('path.line')).fill") == "none"
    assert page.texts("h1 .mark") == ["U+202E", "U+200B"]
    assert page.console() == []


def test_a_script_in_the_report_cannot_run(browser: Page, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, report().replace("</body>", f"{ATTACKS}</body>"))
    page.run("document.getElementById('link').click()")
    page.wait(lambda: len(page.console()) > 0, "violations of the policy")
    assert page.run("return document.title").startswith("Evaluation: ")
    assert page.run("return getComputedStyle(document.getElementById('inline')).color") != "rgb(1, 2, 3)"
    assert page.run("return getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"


def test_without_its_policy_the_same_script_runs(browser: Page, tmp_path: Path) -> None:
    text = report().replace("Content-Security-Policy", "X-Nothing").replace("</body>", f"{ATTACKS}</body>")
    page = opened(browser, tmp_path, text)
    assert page.run("return document.title") == "ran"
