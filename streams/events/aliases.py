"""Names that GA4, Google Retail, Segment and OTTO use for Ouzel's fields.

Ouzel's own names take precedence. Each alias is a path into the event, and a number in it is a
position in a list: of several items, the first is read. GA4's `ga_session_id` is not an alias. It
is the second in which the session began, so unrelated users share it. The id of a browser or device
is an alias of ``user_id``, because it outlives sessions: as a ``session_id`` it would merge all
visits into one session. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streams.events.bounds import JsonObject

ALIASES: dict[str, tuple[str, ...]] = {
    "event_id": ("eventId", "messageId", "insert_id"),
    "user_id": ("userId", "userInfo.userId", "anonymousId", "visitorId", "user_pseudo_id"),
    "session_id": ("sessionId", "session"),
    "item_id": (
        "itemId",
        "items.0.item_id",
        "items.0.id",
        "aid",
        "product_id",
        "productDetails.0.product.id",
        "properties.product_id",
        "properties.sku",
        "properties.products.0.product_id",
        "ecommerce.items.0.item_id",
        "event_params.item_id",
    ),
    "timestamp": ("event_timestamp", "eventTime", "originalTimestamp", "ts", "time"),
    "event_type": ("eventType", "event_name", "event", "type"),
    "event_value": ("value", "eventValue", "properties.value", "purchaseTransaction.revenue"),
    "quantity": ("items.0.quantity", "productDetails.0.quantity", "properties.quantity"),
    "price": ("items.0.price", "properties.price"),
    "currency": ("currencyCode", "properties.currency", "purchaseTransaction.currencyCode"),
    "recommendation_id": ("recommendationId", "attributionToken"),
}

EVENT_TYPE_ALIASES: dict[str, str] = {
    "view_item": "view",
    "page_view": "view",
    "detail-page-view": "view",
    "product viewed": "view",
    "clicks": "click",
    "select_item": "click",
    "product clicked": "click",
    "carts": "add_to_cart",
    "add-to-cart": "add_to_cart",
    "product added": "add_to_cart",
    "add_to_wishlist": "like",
    "product added to wishlist": "like",
    "orders": "purchase",
    "purchase-complete": "purchase",
    "order completed": "purchase",
    "remove-from-cart": "remove_from_cart",
    "product removed": "remove_from_cart",
    "view_item_list": "impression",
    "product list viewed": "impression",
}

Fields = Mapping[Any, Any]
"""A decoded event before its check: a user's decoder may return keys and values of any type."""
_Path = tuple[str | int, ...]
_POSITION = re.compile(r"0|[1-9][0-9]{0,4}")


def parts(path: str) -> _Path:
    """Split a dotted path into names of fields and positions in lists."""
    return tuple(int(part) if _POSITION.fullmatch(part) else part for part in path.split("."))


_PATHS: tuple[tuple[str, tuple[_Path, ...]], ...] = tuple(
    (name, tuple(parts(path) for path in paths)) for name, paths in ALIASES.items()
)
_OURS = (*ALIASES, "context", "properties")


def at_path(raw: Fields, path: _Path) -> object:
    """Return the value at a path, or ``None`` if the path leads nowhere.

    A name applied to a list finds GA4's parameter of that name: ``{"key": name, "value": {...}}``.
    """
    value: object = raw
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(str(part))
        elif not isinstance(value, list):
            return None
        elif isinstance(part, str):
            value = _parameter(value, part)
        else:
            value = value[part] if part < len(value) else None
    return value


def canonical(raw: Fields, mapping: Mapping[str, _Path]) -> JsonObject:
    """Return the fields of an event under Ouzel's names.

    A field in ``mapping`` is read from its path only. Other fields are read by Ouzel's own name,
    then by the aliases in order. An alias counts only if its value is a text or a number: the same
    name may mean something else in a user's own format.
    """
    fields = {name: raw.get(name) for name in _OURS}
    for name, path in mapping.items():
        fields[name] = at_path(raw, path)
    for name, paths in _PATHS:
        if fields[name] is not None or name in mapping:
            continue
        for path in paths:
            if raw.get(path[0]) is not None and _plain(value := at_path(raw, path)):
                fields[name] = value
                break
    return fields


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _parameter(parameters: list[object], name: str) -> object:
    for parameter in parameters:
        if isinstance(parameter, Mapping) and parameter.get("key") == name:
            value = parameter.get("value")
            if not isinstance(value, Mapping):
                return value
            return next((typed for typed in value.values() if typed is not None), None)
    return None
