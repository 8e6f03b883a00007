"""Names that other systems use for our fields: GA4, Google Retail, Segment and OTTO. Ours win over all of them.

Each alias is a path into the event; a number indexes a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ALIASES: dict[str, tuple[str, ...]] = {
    "event_id": ("eventId", "messageId", "insert_id"),
    "user_id": ("userId", "userInfo.userId"),
    "session_id": ("sessionId", "session", "anonymousId", "visitorId", "user_pseudo_id", "ga_session_id"),
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

_ABSENT = object()


def at_path(raw: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or ``None``."""
    found: Any = raw
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part, _ABSENT)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
        if found is _ABSENT:
            return None
    return found


def canonical(raw: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """The event under our field names: the user's mapping first, then our own names, then the aliases."""
    fields = {name: raw.get(name) for name in (*ALIASES, "context", "properties")}
    for name, path in mapping.items():
        fields[name] = at_path(raw, path)
    for name, paths in ALIASES.items():
        if fields[name] is None and name not in mapping:
            fields[name] = next((value for path in paths if (value := at_path(raw, path)) is not None), None)
    kind = fields["event_type"]
    if isinstance(kind, str):
        fields["event_type"] = EVENT_TYPE_ALIASES.get(kind.lower(), kind)
        if kind == "track":  # Segment's `type`; what happened is in `event`
            fields["event_type"] = EVENT_TYPE_ALIASES.get(str(raw.get("event")).lower(), kind)
    return fields
