"""Names that other systems use for our fields: GA4, Google Retail, Segment and OTTO. Ours win over all of them.

Each alias is a path into the event; a number indexes a list, so of an event with several items the first is read. GA4's
`ga_session_id` is none: it is the second in which the session began, and strangers share it. The id of a browser or device stands
for a user who is not known: it outlives sessions, so as a session id it would make one session of all visits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

_Path = tuple[str | int, ...]
_POSITION = re.compile(r"0|[1-9][0-9]{0,4}")


def parts(path: str) -> _Path:
    """A dotted path, taken apart: names of fields and positions in lists."""
    return tuple(int(part) if _POSITION.fullmatch(part) else part for part in path.split("."))


_PATHS: tuple[tuple[str, tuple[_Path, ...]], ...] = tuple(
    (name, tuple(parts(path) for path in paths)) for name, paths in ALIASES.items()
)
_OURS = (*ALIASES, "context", "properties")


def at_path(raw: Mapping[Any, Any], path: _Path) -> Any:
    """The value at a path, or ``None``. A name asked of a list looks for GA4's ``{"key": name, "value": {...}}``."""
    found: Any = raw
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(str(part))
        elif not isinstance(found, list):
            return None
        elif isinstance(part, str):
            found = _parameter(found, part)
        else:
            found = found[part] if part < len(found) else None
    return found


def canonical(raw: Mapping[Any, Any], mapping: Mapping[str, _Path]) -> dict[str, Any]:
    """The fields of an event under our names: the user's mapping first, then our own names, then the aliases.

    A field that is mapped is read from nowhere else. An alias counts where it holds a text or a number: the same name may
    hold something else in a user's own shape.
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


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _parameter(parameters: list[Any], name: str) -> Any:
    for parameter in parameters:
        if isinstance(parameter, Mapping) and parameter.get("key") == name:
            value = parameter.get("value")
            if not isinstance(value, Mapping):
                return value
            return next((held for held in value.values() if held is not None), None)
    return None
