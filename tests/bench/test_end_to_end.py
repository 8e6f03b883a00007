"""The arithmetic of the end-to-end benchmark: lag, freshness, recall, the search and the events."""

from __future__ import annotations

import math
from itertools import islice

import msgspec
import numpy as np
import pytest
from bench.accounts import Account, per_event, shares
from bench.end_to_end import consumer, generator, search, stages, stream, windows
from bench.end_to_end.search import Tried
from bench.end_to_end.windows import MISSED, UNTESTED, Part
from bench.end_to_end.wire import Batch, records

from streams.events.records import Event, RankedItem, Recommendation
from streams.tools.recorded import Line

RATE, SECONDS = 100, 60
PART = Part(10.0, 60.0)
DUE = np.arange(RATE * SECONDS) / RATE


def test_lag_counts_the_events_that_are_due_and_have_no_recommendation() -> None:
    due, arrived = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 3.5, np.nan, 3.2])
    assert windows.lag(due, arrived, np.array([0.2, 0.7, 2.0, 3.0, 4.0])).tolist() == [1, 0, 2, 3, 1]


def test_lag_does_not_grow_if_every_event_takes_the_same_time() -> None:
    assert windows.growth(DUE, DUE + 0.5, PART) == pytest.approx(0, abs=0.002)


def test_lag_grows_by_the_share_of_the_events_that_are_not_processed() -> None:
    assert windows.growth(DUE, DUE * 1.25, PART) == pytest.approx(0.2, abs=0.01)  # processes 80 of 100 a second


def test_one_stall_does_not_make_lag_grow() -> None:
    stalled = np.where((DUE >= 50) & (DUE < 53), 53, DUE)
    assert windows.growth(DUE, stalled, PART) == pytest.approx(0, abs=0.002)


def test_percentiles_are_by_nearest_rank_and_a_missing_recommendation_is_infinitely_late() -> None:
    values = np.arange(1, 1001) / 1
    assert [windows.percentile(values, share) for share in (0.5, 0.99, 0.999)] == [500, 990, 999]
    values[:5] = np.nan
    assert windows.percentile(values, 0.999) == math.inf
    assert math.isnan(windows.percentile(np.array([]), 0.5))


def test_freshness_counts_only_the_events_that_are_due_in_the_judged_part() -> None:
    arrived = DUE + np.where(PART.of(DUE), 0.010, 9)
    assert windows.freshness(DUE, arrived, PART) == pytest.approx((10, 10, 10))


def test_recall_is_of_the_first_twenty_items_of_the_events_that_are_followed() -> None:
    assert windows.recall(np.array([0, 19, 20, MISSED, UNTESTED], np.int16)) == 0.5
    assert math.isnan(windows.recall(np.array([UNTESTED], np.int16)))


def test_a_rate_is_sustained_if_lag_does_not_grow_and_recall_is_that_without_lag() -> None:
    assert windows.judge(0.01, 0.63, 0.64, 0.05, 0) == (True, [])
    for grown, live, late, missing in (
        (0.02, 0.64, 0, 0),
        (0, 0.629, 0, 0),
        (0, math.nan, 0, 0),
        (0, 0.64, 0.2, 0),
        (0, 0.64, 0, 1),
    ):
        sustained, reasons = windows.judge(grown, live, 0.64, late, missing)
        assert not sustained
        assert len(reasons) == 1


def searched(capacity: float, low: float, high: float, steps: int) -> list[Tried]:
    """The rates that a search tries on a system that sustains up to ``capacity``."""
    tried: list[Tried] = []
    while (rate := search.next_rate(tried, low, high, steps)) is not None:
        tried.append(Tried(rate, rate <= capacity))
    return tried


@pytest.mark.parametrize("capacity", [250, 1000, 2000, 3200])
def test_the_search_finds_the_highest_sustained_rate_in_a_bounded_number_of_steps(capacity: float) -> None:
    tried = searched(capacity, 200, 3300, 20)
    assert len(tried) < 10
    found = search.best(tried)
    assert found is not None
    assert capacity / search.CLOSE**2 <= found <= capacity


def test_the_search_stops_after_its_steps_and_says_if_nothing_was_sustained() -> None:
    assert len(searched(1000, 200, 3300, 3)) == 3
    assert search.best(searched(0, 200, 3300, 3)) is None


def test_the_search_goes_on_below_its_range() -> None:
    assert 35 < (search.best(searched(50, 200, 3300, 20)) or 0) <= 50


def click(session: str, item: str, at: int) -> Line:
    return Line(at, 0, 0, Event(event_id="x", session_id=session, item_id=item, timestamp=at))


CLICKS = [click("a", "1", 1000), click("b", "2", 2000), click("a", "2", 3000)]


def test_the_clicks_begin_again_with_new_sessions_and_later_times() -> None:
    lines = list(islice(stream.endless(CLICKS, 1), 7))
    assert [(line.event.session_id, line.event.item_id) for line in lines[2:5]] == [("a", "2"), ("a-1", "1"), ("b-1", "2")]
    assert [line.at for line in lines] == sorted(line.event.timestamp for line in lines)
    assert [line.event.event_id for line in lines] == [str(n) for n in range(7)]


def test_more_shops_have_more_items_and_a_session_stays_in_its_shop() -> None:
    assert stream.shops_for(CLICKS, 10) == 5
    lines = list(islice(stream.endless(CLICKS, 5), 300))
    shops: dict[str | None, set[str]] = {}
    for line in lines:
        shops.setdefault(line.event.session_id, set()).add(line.event.item_id.partition("~")[2])
    assert all(len(of_session) == 1 for of_session in shops.values())
    items = {line.event.item_id for line in lines}
    assert len(items) == 10
    assert items == {line.event.item_id for line in stream.catalogue(CLICKS, 5)}


def test_the_records_say_which_event_follows_in_the_session() -> None:
    made = stream.offered(list(islice(stream.endless(CLICKS, 1), 6)), 4)
    assert made.following == [2, stream.NONE, stream.NONE, 5, stream.NONE, stream.NONE]
    assert made.partition[0] == made.partition[2]
    assert msgspec.json.decode(made.value[2])["item_id"] == made.item[2] == "2"


def recommendation(items: list[str]) -> bytes:
    ranked = [RankedItem(item, 1.0, n + 1, "markov", because_item_id="77") for n, item in enumerate(items)]
    return msgspec.json.encode(
        Recommendation(
            recommendation_id="events-0-1", user_id=None, session_id='"item_id":"5"', generated_at=1, trigger_event_id="41",
            trigger_offset=1, model_version=1, strategy="hybrid", prefix=["5"], items=ranked, took_ms=1.0,
        )
    )  # fmt: skip


def test_the_consumer_finds_trigger_and_place_in_the_bytes() -> None:
    value = recommendation(["7", "77", "5"])
    assert consumer.trigger_of(value) == "41"
    assert [consumer.place_of(item, value) for item in ("7", "77", "5", "9")] == [0, 1, 2, MISSED]
    assert consumer.place_of("7", recommendation([])) == MISSED


def test_the_consumer_decodes_json_of_another_form() -> None:
    value = msgspec.json.format(recommendation(["7", "5"]), indent=1)
    assert consumer.trigger_of(value) == "41"
    assert [consumer.place_of(item, value) for item in ("7", "5", "9")] == [0, 1, MISSED]


class Written:
    """A broker's place: keeps the batches of each request."""

    def __init__(self) -> None:
        self.requests: list[dict[int, bytes]] = []

    def produce(self, batches: dict[int, Batch]) -> None:
        self.requests.append({partition: batch.build() for partition, batch in batches.items()})


def test_the_generator_sends_every_event_once_in_order_even_if_a_batch_is_full() -> None:
    made = stream.offered(list(islice(stream.endless(CLICKS, 1), 300)), 2)
    made.value = [value + b" " * 10_000 for value in made.value]
    order = generator.Order(bootstrap="", topic="", events="", first=10, count=290, rate=1.0, result="")
    schedule = generator.Schedule(order, written := Written(), made)  # type: ignore[arg-type]
    schedule.send(0, 290, [5.0] * 290)
    assert len(written.requests) > 1
    for partition in (0, 1):
        batches = [request[partition] for request in written.requests if partition in request]
        values = [value for batch in batches for _, value in records(batch, 0)]
        assert values == [made.value[n] for n in range(10, 300) if made.partition[n] == partition]


def test_records_before_the_position_of_a_fetch_are_left_out() -> None:
    batch = Batch()
    assert all(batch.append(1, b"k", value) for value in (b"a", b"b", b"c"))
    assert list(records(batch.build(), 1)) == [(1, b"b"), (2, b"c")]


def test_the_consumer_tests_only_events_whose_next_one_is_offered_and_counts_repeats() -> None:
    made = stream.offered(list(islice(stream.endless(CLICKS, 1), 6)), 4)  # event 0 is followed by 2, and 3 by 5
    order = consumer.Order(bootstrap="", topic="", events="", first=0, count=5, positions={}, result="")
    noting = consumer.Noting(order, made)
    for trigger in (b"0", b"3", b"3", b"5"):
        noting.take(recommendation(["1", "2"]).replace(b'"41"', b'"%s"' % trigger), 7.0)
    noting.take(None, 8.0)
    assert noting.place.tolist() == [1, UNTESTED, UNTESTED, UNTESTED, UNTESTED]
    assert (noting.left, noting.repeated, noting.foreign) == (3, 1, 2)
    assert [n for n, at in enumerate(noting.arrived) if at == 7.0] == [0, 3]


def test_cpu_is_per_event_of_each_part_and_the_rest_of_the_machine_is_told_apart() -> None:
    before, after = Account(0.0, {"worker": 1.0, "broker": 2.0}, 10.0), Account(10.0, {"worker": 3.0, "broker": 2.5}, 15.0)
    assert per_event(before, after, 1000) == {"worker": 2000, "broker": 500}
    of_cores = shares(before, after)
    assert of_cores["run"] / of_cores["others"] == pytest.approx(1.0)


def test_stages_are_microseconds_per_event_between_two_scrapes() -> None:
    before = {"ouzel_events_total|outcome=accepted": 100.0, "ouzel_stage_seconds_sum|stage=rank": 1.0}
    after = {"ouzel_events_total|outcome=accepted": 1100.0, "ouzel_stage_seconds_sum|stage=rank": 1.5}
    assert stages.breakdown(before, after) == {"rank": pytest.approx(500.0)}
    assert stages.breakdown(before, before) == {}
