"""What the page says while a click waits: for its ranking, for a worker, or for Ouzel itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.browser import chromium
from support.browser.chromium import Page
from support.browser.fake_shop import FakeShop, fake_shop

if not (chromium.CHROMIUM and chromium.DRIVER):
    pytest.skip(
        "chromium or chromedriver is not installed (on Debian: apt install chromium chromium-driver)", allow_module_level=True
    )

VIEW = "#products [data-item='{}'] .product-view"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """One browser for all tests of this module; each has a server of its own."""
    with chromium.browsing("") as page:
        yield page


@pytest.fixture
def shop(browser: Page) -> Iterator[FakeShop]:
    """A fake server, with its page open for a new visitor."""
    with fake_shop() as (shop, address):
        browser.address = address
        browser.wide(1440)
        browser.prefer(color_scheme="light")
        browser.open("/")
        browser.wait(lambda: len(browser.all("#products .product[data-item]")) == 12, "the products")
        browser.wait(lambda: browser.text("#connection-word") == "Live", "the state live")
        yield shop
        browser.driver.get("about:blank")


def click(page: Page, item_id: str) -> None:
    page.click(VIEW.format(item_id))


def shown(page: Page) -> bool:
    return bool(page.all("#pending")[0].is_displayed())


def pictures(page: Page, name: str) -> None:
    """Keep pictures in both themes and two widths. Nothing may be wider than the screen."""
    for width in (1440, 390):
        for theme in ("light", "dark"):
            page.wide(width)
            page.prefer(color_scheme=theme)
            page.run("scrollTo(0, 0)")
            page.driver.save_screenshot(str(chromium.screenshots() / f"{name}-{theme}-{width}.png"))
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"
    page.wide(1440)


def test_a_fast_ranking_shows_no_pending_row(browser: Page, shop: FakeShop) -> None:
    browser.run(
        "window.seen = false; new MutationObserver(() => { window.seen ||= !document.getElementById('pending').hidden })"
        ".observe(document.getElementById('pending'), { attributes: true })"
    )
    click(browser, "i0")
    browser.wait(lambda: browser.text("#for-you-hint") == "Updated after your click on Blue Mug", "the ranking")
    assert not shown(browser)
    assert browser.run("return window.seen") is False
    assert browser.run("return document.getElementById('fresh').dataset.mood") == "good"


def test_a_slow_ranking_is_pending_and_counts_up_and_its_freshness_is_coloured(browser: Page, shop: FakeShop) -> None:
    shop.ranks_after_s = 2.6
    click(browser, "i0")
    browser.wait(lambda: shown(browser), "the pending row")
    assert browser.text("#pending").startswith("Ranking after Blue Mug... ")
    assert not browser.all("#for-you-hint")[0].is_displayed()
    browser.wait(lambda: browser.text("#pending") == "Ranking after Blue Mug... 2 s", "it counts up")
    assert browser.run("return document.getElementById('pending').dataset.mood") == "bad", "beyond the objective of 1 s"
    browser.wait(lambda: not shown(browser), "the ranking")
    assert browser.text("#for-you-hint") == "Updated after your click on Blue Mug"
    assert browser.run("return document.getElementById('fresh').dataset.mood") == "bad"


def test_a_worker_that_is_down_is_a_state_of_its_own_and_the_click_is_ranked_when_it_is_back(
    browser: Page, shop: FakeShop
) -> None:
    shop.working, shop.down = False, True
    browser.wait(lambda: browser.text("#connection-word") == "Worker down", "the state")
    assert "clicks are kept in Kafka and ranked when a worker is back" in browser.text("#banner-words")
    click(browser, "i0")
    kept = "Blue Mug: your click is in Kafka and will be ranked when a worker is back. 1 s"
    browser.wait(lambda: browser.text("#pending") == kept, "the click is in Kafka")
    pictures(browser, "down")
    browser.click("#tab-live")
    browser.wait(lambda: browser.texts("#facts dd")[0] == "0 of 1", "the fact")
    assert "none" in browser.texts("#facts dd")
    pictures(browser, "down-live")
    browser.click("#tab-shop")
    shop.working, shop.down = True, False
    browser.wait(lambda: browser.text("#connection-word") == "Live", "the state live again")
    browser.wait(lambda: browser.text("#for-you-hint") == "Updated after your click on Blue Mug", "the late ranking")
    assert not shown(browser)


def test_workers_that_are_not_monitored_are_not_down(browser: Page, shop: FakeShop) -> None:
    shop.down = None
    browser.click("#tab-live")
    browser.wait(lambda: browser.texts("#facts dd")[0] == "not monitored", "the fact")
    assert browser.text("#connection-word") == "Live"


def test_no_click_is_lost_or_reordered_while_ouzel_is_unreachable_even_if_the_page_is_reloaded(
    browser: Page, shop: FakeShop
) -> None:
    shop.reachable = False
    for item_id in ("i0", "i1"):
        click(browser, item_id)
    browser.wait(lambda: browser.texts("#notes .note") == ["Click saved; it will be sent when Ouzel is reachable."], "the note")
    until = shop.attempts + 8  # more than gave up earlier
    browser.wait(lambda: shop.attempts >= 3, "it is tried again")
    browser.open("/")
    browser.wait(lambda: len(browser.all("#products .product[data-item]")) == 12, "the products")
    click(browser, "i2")
    browser.wait(lambda: shop.attempts >= until, "it is still tried again")
    assert shop.events == []
    shop.reachable = True
    browser.wait(lambda: len(shop.events) == 3, "all are sent")
    assert [event["item_id"] for event in shop.events] == ["i0", "i1", "i2"]
    browser.wait(lambda: browser.text("#for-you-hint") == "Updated after your click on Small Mug", "the ranking")
    assert browser.run("return sessionStorage.getItem('ouzel.unsent')") == "[]"


def test_the_freshness_of_all_is_coloured_against_its_objective(browser: Page, shop: FakeShop) -> None:
    browser.click("#tab-live")
    for milliseconds, words, mood in ((12.0, "12 ms", "good"), (700.0, "700 ms", "warm"), (2300.0, "2.3 s", "bad")):
        shop.freshness_ms = milliseconds
        browser.wait(lambda words=words: words in browser.texts("#facts dd"), words)  # type: ignore[misc]
        (fact,) = [one for one in browser.all("#facts dd") if one.text == words]
        assert fact.get_attribute("data-mood") == mood
