"""Documented samples of the formats that Ouzel reads, with the events that each must give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from streams.events.decode import BadRecord, Decoded
from streams.events.event_types import EventTypes
from streams.events.notes import Kind
from streams.events.records import Event
from streams.rules import event_decoder
from streams.settings import Settings

NOW = 1_800_000_000_000
AT, AT_TEXT = 1_569_888_500_000, "2019-10-01T00:08:20Z"


def decoded(raw: dict[str, Any], **settings: Any) -> Decoded:
    decoder = event_decoder(Settings(**settings))
    return decoder.decode(b"k", json.dumps(raw).encode(), topic="t", partition=0, offset=3, timestamp_ms=NOW)


def events(raw: dict[str, Any], **settings: Any) -> Sequence[Event]:
    return decoded(raw, **settings).events


def seen(raw: dict[str, Any], **settings: Any) -> list[tuple[str | None, str | None, str, str, int]]:
    return [(one.user_id, one.session_id, one.item_id, one.event_type, one.timestamp) for one in events(raw, **settings)]


def test_ga4() -> None:
    purchase = {
        "event_name": "purchase", "user_pseudo_id": "x.1", "event_timestamp": AT * 1000, "user_id": None,
        "items": [{"item_id": "p", "price": 9.99, "quantity": 2}, {"item_id": "q", "price": 3.33}],
        "ecommerce": {"transaction_id": "T1"},
    }  # fmt: skip
    assert seen(purchase) == [("x.1", None, item, "purchase", AT) for item in ("p", "q")]
    assert [(one.price, one.quantity) for one in events(purchase)] == [(9.99, 2.0), (3.33, None)]
    assert seen({**purchase, "event_name": "session_start", "items": []}) == []
    assert seen({"event_name": "page_view", "user_pseudo_id": "x.1", "event_timestamp": AT * 1000}) == []


def test_google_retail() -> None:
    purchase = {
        "eventType": "purchase-complete", "visitorId": "v", "eventTime": AT_TEXT, "attributionToken": "token",
        "productDetails": [{"product": {"id": "p"}, "quantity": 3}, {"product": {"id": "q"}, "quantity": "1"}],
        "purchaseTransaction": {"revenue": "20.3", "currencyCode": "EUR"},
    }  # fmt: skip
    assert seen(purchase) == [("v", None, item, "purchase", AT) for item in ("p", "q")]
    first, second = events(purchase)
    assert (first.quantity, second.quantity, first.event_value, first.currency) == (3.0, 1.0, 20.3, "EUR")
    assert first.recommendation_id == "token"
    assert seen({"eventType": "home-page-view", "visitorId": "v", "eventTime": AT_TEXT}) == []


def test_segment() -> None:
    order = {
        "type": "track", "event": "Order Completed", "messageId": "m", "anonymousId": "a", "userId": "u", "sentAt": AT_TEXT,
        "properties": {
            "order_id": "o", "revenue": "37.98", "currency": "USD",
            "products": [
                {"product_id": "p", "price": "18.99", "quantity": "1"}, {"sku": "q", "price": "1,299.00"}, {"product_id": "r"},
            ],
        },
    }  # fmt: skip
    assert seen(order) == [("u", None, item, "purchase", AT) for item in ("p", "q", "r")]
    assert [one.price for one in events(order)] == [18.99, 1299.0, None]
    assert {one.event_id for one in events(order)} == {"m"}
    viewed = {"type": "track", "event": "Product Viewed", "userId": "u", "timestamp": AT_TEXT, "properties": {"product_id": "p"}}
    assert seen(viewed) == [("u", None, "p", "view", AT)]
    listed = {**viewed, "event": "Product List Viewed", "properties": {"products": [{"product_id": "p"}, {"sku": "q"}]}}
    assert [one.event_type for one in events(listed)] == ["impression", "impression"]
    for ignored in (
        {"event": "Cart Viewed"},
        {"event": "Product Shared"},
        {"event": None, "type": "page"},
        {"event": None, "type": "identify"},
    ):
        assert seen({**viewed, **ignored}) == []


def test_amazon_personalize() -> None:
    body = {
        "trackingId": "track", "userId": "u", "sessionId": "s",
        "eventList": [
            {"eventType": "View", "sentAt": AT / 1000, "itemId": "p", "properties": '{"genre": "x"}'},
            {"eventType": "Purchase", "sentAt": AT / 1000 + 1, "itemId": "p", "eventId": "own"},
        ],
    }  # fmt: skip
    assert seen(body) == [("u", "s", "p", "view", AT), ("u", "s", "p", "purchase", AT + 1000)]
    first, second = events(body)
    assert (first.event_id, second.event_id, first.properties) == ("t-0-3", "own", {"genre": "x"})


def test_rees46() -> None:
    row = {
        "event_time": "2019-10-01 00:08:20 UTC", "event_type": "cart", "product_id": "p", "price": "489.07", "user_id": "u",
        "user_session": "s", "brand": "",
    }  # fmt: skip
    assert seen(row) == [("u", "s", "p", "add_to_cart", AT)]
    assert events(row)[0].price == 489.07


def test_otto() -> None:
    session = {"session": 1, "events": [{"aid": 5, "ts": AT, "type": "clicks"}, {"aid": 6, "ts": AT + 1, "type": "orders"}]}
    assert seen(session) == [(None, "1", "5", "click", AT), (None, "1", "6", "purchase", AT + 1)]
    assert [one.event_id for one in events(session)] == ["t-0-3", "t-0-3.1"]


def test_retailrocket() -> None:
    row = {"timestamp": AT, "visitorid": 257597, "event": "addtocart", "itemid": 355908, "transactionid": ""}
    assert seen(row) == [("257597", None, "355908", "add_to_cart", AT)]
    assert seen({**row, "event": "transaction"})[0][3] == "purchase"


def test_taobao() -> None:
    for name, event_type in (("pv", "view"), ("cart", "add_to_cart"), ("fav", "like"), ("buy", "purchase")):
        assert seen({"user_id": 1, "item_id": 2, "behavior_type": name, "ts": AT}) == [("1", None, "2", event_type, AT)]


@pytest.mark.parametrize(
    "name",
    ["event_time", "eventTime", "EVENT_TIME", "eventTimestamp", "sentAt", "created_at", "createdAt", "Timestamp", "occurredAt"],
)
def test_a_time_under_another_name_is_not_overlooked(name: str) -> None:
    assert events({"user_id": "u", "item_id": "i", name: AT_TEXT})[0].timestamp == AT


def test_an_event_without_time_or_type_is_noted() -> None:
    notes = decoded({"user_id": "u", "item_id": "i", "kind": "purchase"}).notes
    assert set(notes) == {(Kind.TIME, "kafka"), (Kind.UNTYPED, "event_type")}
    assert events({"user_id": "u", "item_id": "i", "event": {"name": "purchase"}})[0].event_type == "purchase"
    assert events({"user_id": "u", "item_id": "i", "action": "purchase"})[0].event_type == "purchase"
    assert (Kind.EARLY, "timestamp") in decoded({"user_id": "u", "item_id": "i", "timestamp": 20_786}).notes


@pytest.mark.parametrize(
    "name", ["View", "VIEW", "Purchase", "Click", "AddToCart", "ADD_TO_CART", "add-to-cart", "Remove From Cart"]
)
def test_our_own_names_are_known_in_any_spelling(name: str) -> None:
    assert seen({"user_id": "u", "item_id": "i", "event_type": name})


def test_event_types_are_mapped_ignored_and_numbered_by_a_setting() -> None:
    types = {"watched": "view", "3": "purchase", "search": None, "view": "impression"}
    for name, event_type in (
        ("Watched", "view"),
        (3, "purchase"),
        ("3", "purchase"),
        ("VIEW", "impression"),
        ("view", "impression"),
    ):
        assert seen({"user_id": "u", "item_id": "i", "event_type": name}, event_types=types)[0][3] == event_type
    assert seen({"user_id": "u", "item_id": "i", "event_type": "search"}, event_types=types) == []
    with pytest.raises(BadRecord, match=r"write one of view, click, .* or map it with OUZEL_EVENT_TYPES"):
        events({"user_id": "u", "item_id": "i", "event_type": "dance"}, event_types=types)
    with pytest.raises(ValueError, match="watched is mapped to look, which is not one of view, click"):
        EventTypes({"watched": "look"})


@pytest.mark.parametrize(
    ("event_type", "names"),
    [
        (
            "view",
            "ViewContent view_product productView detailView commerce.productViews media-play Viewed-Product product:viewed",
        ),
        ("click", "clicks select_item ProductClicked item-click"),
        ("like", "AddToWishlist bookmark favourite product_added_to_wishlist"),
        ("add_to_cart", "cartAddition Added_To_Cart product_added_to_cart addToBasket commerce.productListAdds"),
        ("purchase", "buys PURCHASED PlacedOrder checkout_completed CompletePayment commerce.purchases order_completed"),
        ("remove_from_cart", "product_removed_from_cart RemoveFromCart commerce.productListRemovals"),
    ],
)
def test_the_event_types_of_shops_and_pixels_are_known(event_type: str, names: str) -> None:
    for name in names.split():
        assert seen({"user_id": "u", "item_id": "i", "event_type": name})[0][3] == event_type, name


@pytest.mark.parametrize(
    "name", ["view_promotion", "Promotion Viewed", "InitiateCheckout", "page_viewed", "Order Refunded", "scroll", "page_ping"]
)
def test_standard_events_that_are_not_about_one_item_are_ignored(name: str) -> None:
    assert seen({"user_id": "u", "item_id": "i", "event_type": name}) == []


def test_rudderstack_and_snowplow() -> None:
    rudder = {
        "type": "track", "event": "Product Added", "messageId": "m", "anonymousId": "a", "userId": "",
        "originalTimestamp": AT_TEXT, "sentAt": "2019-10-01T00:08:21Z", "channel": "web", "context": {"sessionId": 7},
        "properties": {"product_id": "p", "price": "18.99", "quantity": "2"},
    }  # fmt: skip
    assert seen(rudder) == [("a", None, "p", "add_to_cart", AT)]
    snowplow = {
        "event_id": "e", "event_name": "add_to_cart", "user_id": None, "domain_userid": "d", "domain_sessionid": "s",
        "collector_tstamp": "2019-10-01 00:08:25.000", "derived_tstamp": "2019-10-01 00:08:20.000", "sku": "p",
    }  # fmt: skip
    assert seen(snowplow) == [("d", "s", "p", "add_to_cart", AT)]


@pytest.mark.parametrize("item", ["undefined", "null", "NaN", "None", "NULL", "(not set)", "\\N", "nil"])
def test_an_item_that_is_the_lack_of_one_is_not_learned(item: str) -> None:
    with pytest.raises(BadRecord, match=r"missing_field: item_id is .* which means that there is none"):
        events({"user_id": "u", "item_id": item})
    order = decoded({"user_id": "u", "products": [{"product_id": "p"}, {"product_id": item}]})
    assert [one.item_id for one in order.events] == ["p"]
    assert order.bad is not None


@pytest.mark.parametrize(
    "guest", ["-1", -1, "\\N", "(null)", "anonymous", "Guest", "unknown", "-", "0" * 8 + "-0000" * 3 + "-" + "0" * 12]
)
def test_the_guests_of_shops_and_databases_are_no_users(guest: object) -> None:
    assert seen({"user_id": guest, "session_id": "s", "item_id": "i", "timestamp": AT}) == [(None, "s", "i", "view", AT)]


@pytest.mark.parametrize("guest", ["", "0", 0, "null", "undefined", None])
def test_a_guest_with_the_id_of_a_browser_is_the_browser(guest: object) -> None:
    for raw in (
        {"userId": guest, "anonymousId": "b"},
        {"user_id": guest, "user_pseudo_id": "b"},
        {"anonymousId": "b", "USER_ID": guest},
    ):
        assert seen(raw | {"item_id": "i", "timestamp": AT}) == [("b", None, "i", "view", AT)]


@pytest.mark.parametrize("guest", ["0", 0, "null", "NULL", "undefined", "NaN", "(not set)", "", " ", "None", "n/a"])
def test_a_guest_is_no_user(guest: object) -> None:
    result = decoded({"user_id": guest, "session_id": "s", "item_id": "i"})
    assert [(one.user_id, one.session_id) for one in result.events] == [(None, "s")]
    assert (Kind.GUEST, "user_id") in result.notes
    with pytest.raises(BadRecord, match="user_id or session_id"):
        decoded({"user_id": guest, "session_id": guest, "item_id": "i"})
    assert events({"user_id": guest or "x", "item_id": "i"}, guests=[])[0].user_id == str(guest or "x")


def test_a_mapped_list_makes_an_event_of_each_position() -> None:
    raw = {"who": "u", "cart": {"lines": [{"sku": "p", "n": 1}, {"sku": "q", "n": "2"}]}}
    mapping = {"user_id": "who", "item_id": "cart.lines.*.sku", "quantity": "cart.lines.*.n"}
    assert [(one.item_id, one.quantity) for one in events(raw, field_mapping=mapping)] == [("p", 1.0), ("q", 2.0)]
    with pytest.raises(BadRecord, match="item_id"):
        events({"who": "u", "cart": {"lines": []}}, field_mapping=mapping)


def test_more_events_than_a_record_may_hold_are_rejected_together() -> None:
    with pytest.raises(BadRecord, match="more than 256 events"):
        events({"user_id": "u", "items": [str(n) for n in range(257)]})
