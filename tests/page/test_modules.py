"""Modules of the page without a view, such as the parser of server-sent events, in the browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.browser import chromium
from support.browser.chromium import Page
from support.browser.fake_shop import fake_shop

if not (chromium.CHROMIUM and chromium.DRIVER):
    pytest.skip(
        "chromium or chromedriver is not installed (on Debian: apt install chromium chromium-driver)", allow_module_level=True
    )


@pytest.fixture
def browser() -> Iterator[Page]:
    """The page of a fake server."""
    with fake_shop() as (_, address), chromium.browsing(address) as page:
        page.open("/")
        yield page


def test_pure_modules(browser: Page) -> None:
    results = browser.run_async(
        """
        const done = arguments[0];
        const names = ["movement", "reasons", "stream", "chart", "connection", "pending", "numbers"];
        Promise.all(names.map((name) => import(`/page/${name}.js`))).then(
          ([{ movements, movementInWords }, { inWords }, { parse }, { nice }, { stateOf }, pending, { mood }]) => {
            const moved = movements(["a", "b", "c"], ["c", "d", "a"]);
            const why = (item, done) => {
              const reason = inWords(item, (id) => id.toUpperCase(), () => done);
              return `${reason.before} ${reason.name}`.trim();
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
              moods: [null, 20, 700, 1001].map(mood),
              waits: [["live", false], ["live", true], ["down", true], ["down", false], ["offline", false], ["away", false]].map(
                ([state, stored]) => pending.inWords("Mug", 3210, stored, state)),
              waited: [150, 990, 61_000].map((ms) => pending.inWords("Mug", ms, false, "live").split("... ")[1]),
              down: [true, false, null].map((down) => stateOf(null, { kafka_available: true, workers_down: down })),
              states: [stateOf(null, null), stateOf(null, { kafka_available: true }), stateOf(null, { kafka_available: false }),
                       stateOf({ status: 0 }, null), stateOf({ status: 401 }, null), stateOf({ status: 503 }, null)],
            });
          });
        """
    )
    assert results["moved"] == ["up 2", "new", "down 2"]
    assert results["first"] == [0, 0]
    assert (results["viewed"], results["bought"]) == ("because you viewed X", "because you bought X")
    assert (results["again"], results["net"]) == ("because you viewed it before", "fits your whole session")
    assert results["unknown"] == "recommended by the model"
    assert results["event"] == {"name": "ranking", "id": "2-993", "data": '{"a": "b: c"}'}
    assert results["heartbeat"]["data"] == ""
    assert results["nice"] == [1, 8, 15, 300, pytest.approx(0.4)]
    assert results["moods"] == ["", "good", "warm", "bad"]
    saved = "Mug: your click is saved and will be sent. 3 s"
    stored = "Mug: your click is in Kafka and will be ranked when a worker is back. 3 s"
    ranking = "Ranking after Mug... 3 s"
    assert results["waits"] == [ranking, ranking, stored, ranking, saved, saved]
    assert results["waited"] == ["100 ms", "900 ms", "1 min"]
    assert results["down"] == ["down", "live", "live"]
    assert results["states"] == ["starting", "live", "away", "offline", "locked", "starting"]
