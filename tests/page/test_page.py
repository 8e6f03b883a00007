"""The page in a real browser, on a running broker, worker and `ouzel serve`."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from support import chromium
from support.chromium import Page
from support.serve_process import ServeProcess

from serving.state.keys import new_key, write_keys

if not (chromium.CHROMIUM and chromium.DRIVER):
    pytest.skip("no chromium or chromedriver here: Debian's packages chromium and chromium-driver", allow_module_level=True)

CARD, NAME, REASON, BECAUSE = "#strip .pick:not(.waiting)", ".pick-name", ".reason", ".because"


@pytest.fixture(scope="module")
def browser(shop: ServeProcess) -> Iterator[Page]:
    """One browser for all tests."""
    with chromium.browsing(f"http://127.0.0.1:{shop.port}") as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The page of a new visitor. Whatever the console was told is a failure."""
    browser.wide(1440)
    browser.prefer()
    browser.open("/")
    browser.run("sessionStorage.clear(); localStorage.clear()")
    browser.open("/")
    browser.wait(lambda: len(browser.all("#products .product[data-item]")) >= 12, "products on the shelf")
    browser.wait(lambda: len(browser.all(CARD)) >= 6, "a strip")
    yield browser
    assert browser.console() == []


def strip(page: Page) -> list[str]:
    """The items of the strip, in order."""
    ids: list[str] = page.run("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.item)", CARD)
    return ids


def act(page: Page, item_id: str, button: str = ".product-view") -> None:
    """Click, and wait until the model's view of the session ends with the item."""
    page.click(f"#products [data-item='{item_id}'] {button}")
    page.wait(lambda: page.all("#session li")[0].get_attribute("data-item") == item_id, "the session ends with what was clicked")


def three_of_a_category(page: Page) -> list[str]:
    """Choose the first category, and name three of its items."""
    page.click("#categories button:nth-child(2)")
    chosen = page.run("return document.querySelector('#categories [aria-pressed=true]').firstChild.data")
    page.wait(lambda: set(categories(page)) == {chosen}, "the shelf of one category")
    ids: list[str] = page.run("return [...document.querySelectorAll('#products .product')].map(e => e.dataset.item)")
    return ids[:3]


def categories(page: Page) -> list[str]:
    found: list[str] = page.run("return [...document.querySelectorAll('#products .product')].map(e => e.dataset.category)")
    return found


def it_fits(page: Page, tab: str) -> None:
    """In every width and theme, of which pictures are kept."""
    for width in chromium.WIDTHS:
        for theme in ("light", "dark"):
            page.wide(width)
            page.prefer(color_scheme=theme)
            page.run("scrollTo(0, 0)")
            time.sleep(0.6)  # let the cards come to rest, for the picture alone
            page.driver.save_screenshot(str(chromium.screenshots() / f"{tab}-{theme}-{width}.png"))
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"


def test_the_strip_follows_three_clicks_and_names_them_as_reasons(page: Page) -> None:
    cold = strip(page)
    assert "opular" in page.text("#for-you-hint")
    names, drawn = [], []
    for item_id in three_of_a_category(page):
        before = strip(page)
        page.run("delete document.documentElement.dataset.drawn")
        act(page, item_id)
        page.wait(lambda before=before: strip(page) != before, "the strip changes")  # type: ignore[misc]
        page.wait(lambda: page.run("return document.documentElement.dataset.drawn") is not None, "the strip is drawn")
        drawn.append(float(page.run("return document.documentElement.dataset.drawn")))
        names.append(page.text(f"#products [data-item='{item_id}'] .product-name"))
    assert strip(page) != cold
    reasons = [text.strip() for text in page.texts(f"{CARD} {BECAUSE}") if text]
    assert set(reasons) & set(names), f"{reasons} names none of {names}"
    assert any(text.startswith("because you viewed ") for text in page.texts(f"{CARD} {REASON}"))
    assert any(word == "new" or word.startswith(("up ", "down ")) for word in page.texts(f"{CARD} .move"))
    assert page.texts("#session li span:nth-child(2)") == names[::-1]
    page.wait(lambda: page.text("#announcer").startswith("For you has changed"), "it is told to who cannot see it")
    page.wait(lambda: page.text("#fresh").endswith((" ms", " s")), "the freshness")
    assert min(drawn) >= 0
    (chromium.screenshots() / "drawn.json").write_text(json.dumps({"ms_from_answer_to_frame": drawn}))  # told, not judged
    it_fits(page, "shop")


def test_cart_and_purchase_are_events_of_the_session(page: Page) -> None:
    first, second, third = three_of_a_category(page)
    act(page, first, ".product-acts button")
    assert page.text("#cart-count") == "1"
    act(page, second, ".buy")
    assert page.text(f"#session [data-item='{second}'] .deed") == "bought"
    page.click("#cart-open")
    assert len(page.all("#cart-lines li")) == 1
    page.driver.save_screenshot(str(chromium.screenshots() / "cart-light-1440.png"))
    page.click("#cart-buy")
    page.wait(lambda: page.text(f"#products [data-item='{first}'] .mark") == "bought", "the cart is bought")
    assert page.text("#cart-count") == "0"
    page.run("document.querySelector(arguments[0]).focus()", f"#products [data-item='{third}'] .product-view")
    page.driver.switch_to.active_element.send_keys("\ue007")
    page.wait(lambda: page.all("#session li")[0].get_attribute("data-item") == third, "Enter is a click")


def test_forget_me_empties_the_panel_and_a_click_begins_anew(page: Page, shop: ServeProcess) -> None:
    first, second, _ = three_of_a_category(page)
    act(page, first)
    visitor = page.text("#visitor")
    assert shop.call("GET", f"/v1/users/{visitor}").status == 200
    page.click("#forget")
    page.wait(lambda: "nothing of you is left" in page.text("#forgotten"), "the deletion is told")
    assert not page.all("#session li")
    assert page.texts(".mark") == [""] * len(page.all(".mark"))
    assert shop.call("GET", f"/v1/users/{visitor}").status == 404
    act(page, second)
    assert [li.get_attribute("data-item") for li in page.all("#session li")] == [second]


def test_the_tab_live_shows_the_others_and_the_operations(page: Page) -> None:
    page.run("document.getElementById('tab-shop').focus()")
    page.driver.switch_to.active_element.send_keys("\ue014")  # the right arrow
    assert page.run("return document.getElementById('panel-shop').hidden && location.hash") == "#live"
    page.wait(lambda: len(page.all("#others .visit")) >= 3, "other visitors come by")
    assert all(text for text in page.texts("#others .chip-name"))
    page.wait(lambda: "events/s" in (page.run("return document.querySelector('#charts svg').ariaLabel ?? ''")), "charts")
    page.wait(lambda: len(page.all("#charts .card:nth-child(3) .line")) >= 2, "Recall@20 of the model and of popularity")
    page.wait(lambda: page.texts("#facts dd")[0] == "1 of 1", "the worker")
    page.click("#pause")
    time.sleep(1.0)  # one that is on its way may still come
    shown = page.texts("#others .visitor")
    time.sleep(2.5)  # others come each second
    assert page.texts("#others .visitor") == shown
    it_fits(page, "live")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_nothing_that_axe_finds(page: Page, theme: str, width: int) -> None:
    """Names, roles, landmarks and contrast of WCAG 2.1 A and AA, and axe's best practices, on both tabs."""
    axe = (resources.files(importlib.import_module("axe_core_python")) / "axe.min.js").read_text()
    page.wide(width)
    page.prefer(color_scheme=theme, reduced_motion="reduce")
    act(page, three_of_a_category(page)[0])
    for tab in ("shop", "live"):
        page.click(f"#tab-{tab}")
        if tab == "live":
            page.wait(lambda: len(page.all("#others .visit")) >= 1, "another visitor")
        found = page.run_async(axe + "; axe.run(document).then(arguments[arguments.length - 1])")
        told = [f"{one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in found["violations"]]
        assert {"color-contrast", "button-name", "region"} <= {one["id"] for one in found["passes"]}
        assert told == []


def test_it_says_that_ouzel_is_away_and_comes_back_by_itself(page: Page, shop: ServeProcess) -> None:
    item_id = three_of_a_category(page)[0]
    page.online(False)
    try:
        page.wait(lambda: page.text("#connection-word") == "Offline", "it is told")
        page.click(f"#products [data-item='{item_id}'] .product-view")
        page.wait(lambda: "waits" in "".join(page.texts("#notes .note")), "the click waits")
        page.driver.save_screenshot(str(chromium.screenshots() / "offline-light-1440.png"))
    finally:
        page.online(True)
    page.wait(lambda: page.text("#connection-word") == "Live", "it is live again")
    page.wait(lambda: page.all("#session li")[0].get_attribute("data-item") == item_id, "the click came after all")
    told = page.console()  # the browser itself tells of each request that failed
    assert all("ERR_INTERNET_DISCONNECTED" in line for line in told), told


def test_with_keys_it_asks_for_one(browser: Page, shop: ServeProcess, tmp_path: Path) -> None:
    text, kept = new_key("page", ["read", "events"], 0)
    write_keys(tmp_path / "keys.json", [kept])
    serve = ServeProcess(shop.settings, tmp_path / "serve.log", OUZEL_SERVE_KEYS=str(tmp_path / "keys.json"))
    serve.start()
    try:
        serve.wait_ready(120)
        browser.wide(1440)
        browser.driver.get(f"http://127.0.0.1:{serve.port}/")
        browser.wait(browser.all("#key")[0].is_displayed, "it asks")
        browser.driver.switch_to.active_element.send_keys("ouzel_00000000_wrong\n")
        asks_again = "const d = document.getElementById('key'); return d.open && d.querySelector('input').value === ''"
        browser.wait(lambda: browser.run(asks_again), "it asks again")
        browser.driver.save_screenshot(str(chromium.screenshots() / "locked-light-1440.png"))
        browser.click("#key-cancel")
        browser.click("#key-open")
        browser.driver.switch_to.active_element.send_keys(text + "\n")
        browser.wait(lambda: browser.text("#connection-word") == "Live", "the key opens it")
        browser.wait(lambda: len(browser.all("#products .product[data-item]")) >= 12, "products on the shelf")
        item_id = three_of_a_category(browser)[0]
        act(browser, item_id)
        browser.click("#forget")
        browser.wait(lambda: browser.text("#forgotten").startswith("Not forgotten"), "that needs another scope")
        told = browser.console()
    finally:
        browser.driver.get("about:blank")  # else the console would be told of the streams that end
        serve.kill()
    assert [line for line in told if " 401 " not in line and " 403 " not in line] == []


def test_nothing_that_an_item_is_called_is_markup(page: Page, shop: ServeProcess) -> None:
    name = "<img src=x onerror=document.title='broken'>, \"rust\" & <b>bold</b>"
    assert shop.call("PUT", "/v1/items/0-evil", {"item_name": name, "categories": ["<i>Traps</i>"], "price": 1}).status == 200
    page.open("/")
    page.wait(lambda: "<i>Traps</i>" in "".join(page.texts("#categories button")), "its category")
    page.run("[...document.querySelectorAll('#categories button')].find(b => b.textContent.includes('Traps')).click()")
    page.wait(lambda: page.texts("#products .product-name") == [name], "its name as it is")
    assert not page.all("#products img")
    assert "broken" not in page.driver.title


def test_the_policy_is_in_force(page: Page) -> None:
    """Else the console above could not tell of a violation."""
    assert page.run("try { eval('1'); return 'ran' } catch (e) { return e.name }") == "ran", "the driver itself is above it"
    page.run("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.head.append(s)")
    assert page.run("return window.ran") is None
    assert any("Content Security Policy" in line for line in page.console())


def test_the_theme_is_kept(page: Page) -> None:
    page.click("#theme")
    page.click("#theme")
    assert page.run("return getComputedStyle(document.body).colorScheme") == "dark"
    page.open("/")
    assert page.run("return getComputedStyle(document.body).colorScheme") == "dark"
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(11, 18, 21)"
    page.run("localStorage.clear()")


def test_pure_modules(page: Page) -> None:
    """Movements, words for reasons and the parser of server-sent events, in the engine that they run in."""
    found = page.run_async(
        """
        const done = arguments[0];
        Promise.all(["movement", "reasons", "stream", "chart", "connection"].map((name) => import(`/page/${name}.js`))).then(
          ([{ movements, movementInWords }, { inWords }, { parse }, { nice }, { stateOf }]) => {
            const moved = movements(["a", "b", "c"], ["c", "d", "a"]);
            const why = (item, done) => {
              const told = inWords(item, (id) => id.toUpperCase(), () => done);
              return `${told.before} ${told.name}`.trim();
            };
            done({
              moved: [...moved.values()].map(movementInWords),
              first: [...movements(null, ["a", "b"]).values()],
              viewed: why({ reason: "markov", because_item_id: "x" }, null),
              bought: why({ reason: "rules", because_item_id: "x" }, "bought"),
              again: why({ reason: "repeat", because_item_id: "x" }, "viewed"),
              net: why({ reason: "gru" }, null),
              unknown: why({ reason: "constructor" }, null),
              event: parse('event: ranking\\nid: 2-993\\ndata: {"a": "b: c"}'),
              heartbeat: parse(": heartbeat"),
              nice: [0, 7, 11, 250, 0.31].map(nice),
              states: [stateOf(null, null), stateOf(null, { kafka_available: true }), stateOf(null, { kafka_available: false }),
                       stateOf({ status: 0 }, null), stateOf({ status: 401 }, null), stateOf({ status: 503 }, null)],
            });
          });
        """
    )
    assert found["moved"] == ["up 2", "new", "down 2"]
    assert found["first"] == [0, 0]
    assert (found["viewed"], found["bought"]) == ("because you viewed X", "because you bought X")
    assert (found["again"], found["net"]) == ("because you viewed it before", "fits your whole session")
    assert found["unknown"] == "by the model"
    assert found["event"] == {"name": "ranking", "id": "2-993", "data": '{"a": "b: c"}'}
    assert found["heartbeat"]["data"] == ""
    assert found["nice"] == [1, 8, 15, 300, pytest.approx(0.4)]
    assert found["states"] == ["starting", "live", "away", "offline", "locked", "starting"]


def test_a_stopped_server_is_told_and_the_streams_end(browser: Page, shop: ServeProcess, tmp_path: Path) -> None:
    """SIGTERM ends the process though browsers hold streams open."""
    serve = ServeProcess(shop.settings, tmp_path / "serve.log").start()
    try:
        serve.wait_ready(120)
        browser.wide(1440)
        browser.driver.get(f"http://127.0.0.1:{serve.port}/#live")
        browser.wait(lambda: len(browser.all("#others .visit")) >= 1, "another visitor")
        assert serve.stop(20) == 0, serve.tail()
        browser.wait(lambda: browser.text("#connection-word") == "Offline", "it is told")
    finally:
        browser.driver.get("about:blank")
        browser.console()
        if serve.alive:
            serve.kill()
