"""Events as real producers send them, through the whole journey: what is learned and what is not.

Each case is a public bug report or the documented format of another system.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from support.in_memory import DictStore, NullRanker

from streams.events.records import Recommendation, Transition
from streams.kafka.outbox import Outbox
from streams.observing.observer import Unobserved
from streams.pipeline import Pipeline
from streams.rules import event_decoder, rules_of, topics_of
from streams.sessions.deletion import Deleting
from streams.sessions.step import unpack
from streams.sessions.store import Changes
from streams.settings import Settings
from streams.wire.record import Record
from streams.work import Work

NOW = 1_795_000_000_000
DAY = 86_400_000
Raw = Mapping[str, Any] | None


class Result(NamedTuple):
    """What became of the records.

    ``learned`` has item, type and time of each transition, ``letters`` the reasons of dead letters,
    ``sessions`` the items of each user's sessions, latest session first, and ``ranked`` the owners
    of the rankings.
    """

    learned: list[tuple[str, str, int]]
    letters: list[str]
    sessions: dict[str, list[list[str]]]
    ranked: list[str]
    outcomes: list[str]


class Recorder(Unobserved):
    """Keeps the outcomes of a unit."""

    def done(self, work: Work, rankings: object, done_at: float) -> None:
        self.outcomes = [str(outcome) for _, outcome in work.outcomes]


class Kept:
    """A `Delivery` that keeps the outputs."""

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        self.outputs = outputs
        return dict.fromkeys(changes, 0)


def processed(*raws: Raw, key: str = "u", **settings: Any) -> Result:
    """Take records that arrived one ms apart from `NOW` on through one unit of the journey."""
    chosen = Settings(**settings)
    topics, store, kept, observer = topics_of(chosen), DictStore(), Kept(), Recorder()
    pipeline = Pipeline(
        decoder=event_decoder(chosen), store=store, ranker=NullRanker(), delivery=kept, observer=observer, topics=topics,
        rules=rules_of(chosen, Deleting(b"", None)),
    )  # fmt: skip
    records = [
        Record("events", 0, n, NOW + n, key.encode(), None if raw is None else json.dumps(raw).encode(), ())
        for n, raw in enumerate(raws)
    ]
    asyncio.run(pipeline.process({0: records}, 1))
    sent = {name: kept.outputs.get((name, 0), []) for name in topics}
    learned = [msgspec.json.decode(value or b"", type=Transition) for _, value, _ in sent[topics.transitions]]
    ranked = [msgspec.json.decode(value, type=Recommendation) for _, value, _ in sent[topics.recommendations] if value]
    return Result(
        [(one.item_id, one.event_type, one.timestamp) for one in learned],
        [dict(headers)["reason"].decode() for _, _, headers in sent[topics.dead_letters]],
        {
            state_key.decode()[2:]: [[seen.item_id for seen in session.prefix] for session in unpack(value).sessions]
            for state_key, value in store.values.items()
            if state_key[:2] in (b"u:", b"s:")
        },
        [one.user_id or one.session_id or "" for one in ranked],
        observer.outcomes,
    )


def items(result: Result) -> list[str]:
    return [item for item, _, _ in result.learned]


def test_history_of_rees46_sent_today_keeps_its_times_and_sessions() -> None:
    rows = [
        {"event_time": "2019-10-01 00:00:00 UTC", "product_id": "44600062", "price": 35.79, "user_session": "72d76fde"},
        {"event_time": "2019-10-09 10:00:00 UTC", "product_id": "3900821", "price": 33.2, "user_session": "9333dfbd"},
        {"event_time": "2019-10-09 10:01:00 UTC", "product_id": "17200506", "price": "543.10", "user_session": "9333dfbd"},
    ]
    result = processed(*({**row, "event_type": "view", "user_id": 541312140, "brand": "x"} for row in rows))
    october = 1_569_888_000_000
    assert result.learned == [
        ("44600062", "view", october),
        ("3900821", "view", october + 8 * DAY + 36_000_000),
        ("17200506", "view", october + 8 * DAY + 36_060_000),
    ]
    assert result.sessions == {"541312140": [["3900821", "17200506"], ["44600062"]]}
    assert result.letters == []


@pytest.mark.parametrize(
    ("fields", "kind", "at"),
    [
        ({"created_at": "2025-11-01T00:00:00Z"}, "view", 1_761_955_200_000),
        ({"action": "purchase"}, "purchase", NOW),
        ({"event": {"name": "purchase"}}, "purchase", NOW),
        ({"eventTimestamp": NOW - 5}, "view", NOW - 5),
        ({"Timestamp": NOW - 5}, "view", NOW - 5),
        ({"sentAt": (NOW - 5000) / 1000}, "view", NOW - 5000),
        ({"time": 3.2}, "view", 3200),
        ({"ts": 12}, "view", 12_000),
    ],
)
def test_time_and_type_under_other_names_are_read(fields: Raw, kind: str, at: int) -> None:
    assert processed({"user_id": "u", "item_id": "a", **(fields or {})}).learned == [("a", kind, at)]


@pytest.mark.parametrize("offsets", [(0, -40, 1000, 200), (240_000, 1, None, 2000), (0, -(NOW % 1000), 1, 2)])
def test_events_that_arrive_out_of_order_are_all_learned_in_one_session(offsets: Sequence[int | None]) -> None:
    """A late event, a clock that was four minutes fast, and a client that sends whole seconds."""
    raws = [
        {"user_id": "u", "item_id": f"o{n}"} | ({} if offset is None else {"timestamp": NOW + offset})
        for n, offset in enumerate(offsets)
    ]
    result = processed(*raws)
    assert sorted(items(result)) == ["o0", "o1", "o2", "o3"]
    (session,) = result.sessions["u"]
    times = {f"o{n}": NOW + (n if offset is None else offset) for n, offset in enumerate(offsets)}
    assert session == sorted(times, key=times.__getitem__)


def test_each_product_of_an_order_is_learned_and_one_ranking_follows() -> None:
    base = {"type": "track", "userId": "u", "timestamp": NOW}
    order = {"products": [{"product_id": "p1", "price": 19}, {"product_id": "p2", "price": "3"}, {"sku": "p3"}]}
    retail = {
        "eventType": "purchase-complete", "visitorId": "v", "eventTime": NOW,
        "productDetails": [{"product": {"id": "100"}}, {"product": {"id": "101"}, "quantity": 3}],
        "purchaseTransaction": {"revenue": "20.3"},
    }  # fmt: skip
    result = processed(
        base | {"messageId": "m1", "event": "Product Viewed", "properties": {"product_id": "p1", "price": "18.99"}},
        base | {"messageId": "m2", "event": "Order Completed", "properties": order},
        base | {"messageId": "m3", "type": "page", "name": "Home"},
        base | {"messageId": "m4", "event": "Product Shared", "properties": {"product_id": "p1"}},
        retail,
    )
    assert [(item, kind) for item, kind, _ in result.learned] == [
        ("p1", "view"), ("p1", "purchase"), ("p2", "purchase"), ("p3", "purchase"), ("100", "purchase"), ("101", "purchase"),
    ]  # fmt: skip
    assert (result.letters, result.ranked) == ([], ["u", "u", "v"])
    assert result.outcomes.count("ignored") == 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("View", "view"), ("VIEW", "view"), ("Purchase", "purchase"), ("Click", "click"), ("cart", "add_to_cart"),
        ("addtocart", "add_to_cart"), ("AddToCart", "add_to_cart"), ("ADD_TO_CART", "add_to_cart"), ("transaction", "purchase"),
        ("buy", "purchase"), ("pv", "view"), ("fav", "like"), ("order", "purchase"), ("product_viewed", "view"),
        ("Product Viewed", "view"), ("detail-page-view", "view"),
    ],
)  # fmt: skip
def test_the_event_types_of_other_systems_are_learned_as_ours(name: str, kind: str) -> None:
    assert processed({"user_id": "u", "item_id": "a", "event_type": name}).learned == [("a", kind, NOW)]


def change(op: str, after: Mapping[str, Any] | None) -> Raw:
    return {"payload": {"before": None, "after": after, "op": op}}


def test_the_changes_of_a_table_are_events_only_where_rows_are_new() -> None:
    paths = {"user_id": "customer_id", "item_id": "sku", "timestamp": "created_at", "event_type": "kind", "price": "price"}
    insert = {"customer_id": 501, "sku": "D1", "created_at": NOW * 1000, "kind": "purchase", "price": "12.30"}
    result = processed(
        change("c", insert),
        change("c", insert | {"sku": "D2", "price": "BM4="}),
        change("u", insert | {"sku": "D2"}),
        change("c", insert | {"sku": "D3", "kind": 3}),
        change("d", None),
        None,
        key='{"id":2}',
        field_mapping={name: f"payload.after.{path}" for name, path in paths.items()},
        field_filter={"payload.op": ["c", "r"]},
        tombstones="ignore",
        event_types={"3": "view"},
    )
    assert result.learned == [("D1", "purchase", NOW), ("D2", "purchase", NOW), ("D3", "view", NOW)]
    assert (result.letters, result.sessions) == ([], {"501": [["D1", "D2", "D3"]]})
    assert result.outcomes == ["accepted", "accepted", "ignored", "accepted", "ignored", "ignored"]


@pytest.mark.parametrize(("unit", "at"), [("auto", 20_775_000), ("days", 20_775 * DAY)])
def test_a_date_in_days_is_read_if_its_unit_is_named(unit: str, at: int) -> None:
    """Without the unit it is early, which is counted and logged."""
    result = processed({"user_id": "u", "item_id": "D2", "timestamp": 20_775, "event_type": "view"}, time_unit=unit)
    assert result.learned == [("D2", "view", at)]


def test_a_batch_of_personalize_and_a_single_event_with_properties_as_text_are_learned() -> None:
    yesterday = NOW - DAY
    seen = {"eventType": "View", "itemId": "7", "sentAt": NOW / 1000}
    click = {"eventType": "click", "itemId": "8", "sentAt": yesterday / 1000, "properties": '{"x":"1"}'}
    result = processed(
        {"trackingId": "t", "userId": "u", "sessionId": "s1", "eventList": [seen]},
        {"userId": "u", "sessionId": "s2"} | click,
        {"userId": "u", "sessionId": "s1"} | click,
    )
    assert result.learned == [("7", "view", NOW), ("8", "click", yesterday), ("8", "click", yesterday)]
    assert (result.letters, result.sessions) == ([], {"u": [["8", "7"], ["8"]]})


def test_the_lines_of_an_order_may_share_an_event_id() -> None:
    line = {"event_id": "order-1", "user_id": "u", "event_type": "purchase"}
    result = processed(line | {"item_id": "a"}, line | {"item_id": "b"}, line | {"item_id": "a"})
    assert items(result) == ["a", "b"]
    assert result.outcomes == ["accepted", "accepted", "duplicate"]


@pytest.mark.parametrize("guest", ["0", 0, "null", "undefined", "NaN", "(not set)", "", None])
def test_guests_share_no_session(guest: str | int | None) -> None:
    result = processed(*({"user_id": guest, "session_id": f"s{n}", "item_id": f"i{n}"} for n in range(2)))
    assert result.sessions == {"s0": [["i0"]], "s1": [["i1"]]}


def test_an_optional_field_that_cannot_be_read_costs_only_itself() -> None:
    fields = {"price": "call us", "quantity": [], "context": "{", "currency": 7, "properties": 3, "recommendation_id": {}}
    assert processed({"user_id": "u", "item_id": "a"} | fields).learned == [("a", "view", NOW)]
