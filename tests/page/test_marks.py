"""Invisible characters of ids are marked, and titles of any script reorder nothing around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.browser import chromium
from support.browser.chromium import Page
from support.browser.fake_shop import ITEMS, FakeShop, fake_shop
from support.browser.shop_page import act

if not (chromium.CHROMIUM and chromium.DRIVER):
    pytest.skip(
        "chromium or chromedriver is not installed (on Debian: apt install chromium chromium-driver)", allow_module_level=True
    )

POISON = "a\u202egpj\u200b"
"""It looks like ajpg without marks."""
HEBREW, ARABIC = "ספל כחול", "إبريق شاي"
RUNS = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"
LEFT = """
  const walker = document.createTreeWalker(document.querySelector(arguments[0]), NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const at = node.data.indexOf(arguments[1]);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + arguments[1].length);
    return range.getBoundingClientRect().left;
  }
"""


def item(item_id: str, name: str | None, category: str, price: float) -> dict[str, Any]:
    return ITEMS[0] | {"item_id": item_id, "item_name": name, "categories": [category], "price": price}


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """One browser for all tests of this module."""
    with chromium.browsing("") as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The page of a shop whose items have such ids and titles."""
    with fake_shop() as (shop, address):
        poison(shop)
        browser.address = address
        browser.wide(1440)
        browser.prefer(color_scheme="light")
        browser.open("/")
        browser.wait(lambda: len(browser.all("#products .product[data-item]")) == len(shop.items), "the products")
        yield browser
        assert [line for line in browser.console() if "favicon" not in line] == []
        browser.driver.get("about:blank")


def poison(shop: FakeShop) -> None:
    shop.items = [
        item("he", f"{HEBREW} 350", "ספלים", 9.5),
        item("ar", f"{ARABIC}!", "شاي", 12),
        item(POISON, None, "Mug", 7),
        item("x", RUNS, "Mug", 8),
        item("rlo", "Teapot \u202eold", "Mug", 8),
        *ITEMS,
    ]
    shop.categories = [{"name": "ספלים", "items": 4}, {"name": "Mug", "items": 4}]


def left(page: Page, selector: str, text: str) -> float:
    """Where a text of an element begins, in pixels from the left."""
    return float(page.run(LEFT, selector, text))


def test_invisible_characters_of_an_id_are_boxes_wherever_it_is_shown(page: Page) -> None:
    places = [f"#products [data-item='{POISON}'] .product-name", f"#strip [data-item='{POISON}'] .pick-name"]
    for place in places:
        assert page.text(place) == "Item aU+202EgpjU+200B"
        assert page.texts(f"{place} .unseen") == ["U+202E", "U+200B"]
    labelled = f"#products [data-item='{POISON}'] [aria-label]"
    labels = page.run("return [...document.querySelectorAll(arguments[0])].map(e => e.ariaLabel)", labelled)
    assert labels == ["Add to cart: Item aU+202EgpjU+200B", "Buy: Item aU+202EgpjU+200B"]
    act(page, POISON)
    page.wait(lambda: page.text("#for-you-hint") == "Updated after your click on Item aU+202EgpjU+200B", "the ranking")
    assert page.texts("#session li .unseen") == ["U+202E", "U+200B"]
    assert page.text("#strip .pick:first-child .because").strip() == "Item aU+202EgpjU+200B"
    page.click(f"#products [data-item='{POISON}'] .product-acts button")
    page.click("#cart-open")
    assert page.texts("#cart-lines .unseen") == ["U+202E", "U+200B"]
    page.driver.save_screenshot(str(chromium.screenshots() / "marks-cart.png"))
    page.click("#cart-close")


def test_a_title_from_right_to_left_reorders_nothing_around_it(page: Page) -> None:
    about = "#products [data-item='he'] .product-about"
    assert left(page, about, "ספלים") < left(page, about, "·") < left(page, about, "9.50")
    chip = "#categories button:nth-child(2)"
    assert left(page, chip, "ספלים") < left(page, chip, "4")
    name = "#products [data-item='ar'] .product-name"
    assert left(page, name, "!") < left(page, name, ARABIC), "its own direction is from right to left"
    act(page, "he")
    page.wait(lambda: page.text("#for-you-hint").startswith("Updated after"), "the ranking")
    hint = "#for-you-hint"
    assert left(page, hint, "Updated") < left(page, hint, HEBREW)
    for width in (1440, 390):
        for theme in ("light", "dark"):
            page.wide(width)
            page.prefer(color_scheme=theme)
            page.run("scrollTo(0, 0)")
            page.driver.save_screenshot(str(chromium.screenshots() / f"marks-{theme}-{width}.png"))
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"


def test_an_override_in_a_title_ends_with_the_title(page: Page) -> None:
    act(page, "rlo")
    page.wait(lambda: page.text("#for-you-hint").startswith("Updated after"), "the ranking")
    assert page.run("return document.querySelector('#strip .pick:first-child .because bdi').textContent") == "Teapot \u202eold"
    for selector in ("#products [data-item='rlo'] .product-name > *", "#for-you-hint > *", "#session li span:nth-child(2) > *"):
        assert page.run("return getComputedStyle(document.querySelector(arguments[0])).unicodeBidi", selector) == "isolate"


def test_markup_in_a_title_is_text(page: Page) -> None:
    assert page.text("#products [data-item='x'] .product-name") == RUNS
    assert page.run("return document.title") != "ran"
    widths = page.run(
        "return [...document.querySelectorAll('#strip .pick')].map(e => Math.round(e.getBoundingClientRect().width))"
    )
    assert len(set(widths)) == 1, "a long word makes no card wider"
