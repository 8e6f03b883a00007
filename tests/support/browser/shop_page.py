"""What tests do on the page of the shop, and what they read from it."""

from __future__ import annotations

import time

from support.browser import chromium
from support.browser.chromium import Page

CARD, NAME, REASON, BECAUSE = "#strip .pick:not(.waiting)", ".pick-name", ".reason", ".because"


def strip(page: Page) -> list[str]:
    """The item ids of the strip, in order."""
    ids: list[str] = page.run("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.item)", CARD)
    return ids


def act(page: Page, item_id: str, button: str = ".product-view") -> None:
    """Click a product, and wait until the session that the page shows ends with it."""
    page.click(f"#products [data-item='{item_id}'] {button}")
    page.wait(lambda: page.all("#session li")[0].get_attribute("data-item") == item_id, "the session ends with the clicked item")


def three_of_a_category(page: Page) -> list[str]:
    """Choose the first category, and return the ids of three of its items."""
    page.click("#categories button:nth-child(2)")
    chosen = page.run("return document.querySelector('#categories [aria-pressed=true]').firstChild.data")
    page.wait(lambda: set(categories(page)) == {chosen}, "products of one category")
    ids: list[str] = page.run("return [...document.querySelectorAll('#products .product')].map(e => e.dataset.item)")
    return ids[:3]


def categories(page: Page) -> list[str]:
    """The category of each product that is shown."""
    shown: list[str] = page.run("return [...document.querySelectorAll('#products .product')].map(e => e.dataset.category)")
    return shown


def assert_it_fits(page: Page, tab: str) -> None:
    """Assert that nothing is wider than the screen, in every width and theme.

    Keeps a picture of each.
    """
    for width in chromium.WIDTHS:
        for theme in ("light", "dark"):
            page.wide(width)
            page.prefer(color_scheme=theme)
            page.run("scrollTo(0, 0)")
            time.sleep(0.6)  # only for the picture: the cards stop moving
            page.driver.save_screenshot(str(chromium.screenshots() / f"{tab}-{theme}-{width}.png"))
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"
