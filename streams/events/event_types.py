"""Names of event types: what a name in an event means, or that the event is to be ignored. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.events.bounds import BadRecord, kind_of
from streams.events.records import EVENT_TYPES

NAMES: dict[str, tuple[str, ...]] = {
    "view": (
        "view item", "page view", "detail page view", "product viewed", "product view", "item view", "pv", "viewed", "watch",
        "detail view", "viewed product", "item viewed", "view content", "view product", "view details", "product detail view",
        "commerce product views", "media play",
    ),
    "click": ("clicks", "select item", "product clicked", "select content", "product click", "item click"),
    "like": (
        "add to wishlist", "product added to wishlist", "fav", "favorite", "favourite", "wishlist", "save", "bookmark", "likes",
        "added to wishlist", "liked",
    ),
    "add_to_cart": (
        "cart", "carts", "add to cart", "product added", "add to basket", "basket", "added to cart", "product added to cart",
        "cart addition", "add cart", "wishlist product added to cart", "commerce product list adds",
    ),
    "purchase": (
        "order", "orders", "purchase complete", "order completed", "purchased", "purchases", "buy", "buys", "bought",
        "transaction", "ecommerce purchase", "placed order", "ordered product", "complete payment", "checkout completed",
        "commerce purchases",
    ),
    "remove_from_cart": (
        "remove from cart", "product removed", "removed from cart", "product removed from cart", "delete from cart",
        "remove from basket", "commerce product list removals",
    ),
    "dislike": (),
    "impression": (
        "view item list", "product list viewed", "impressions", "product impression", "product list view",
    ),
}  # fmt: skip
"""The names of RetailRocket, Taobao, REES46, Personalize, OTTO, GA4, Google, Segment and shops.

Names of Shopify, Klaviyo, Adobe, Recombee, Snowplow and Meta's pixel are among them.
"""
IGNORED = (
    "identify", "group", "alias", "page", "screen", "cart viewed", "product shared", "cart shared",
    "products searched", "checkout step viewed", "checkout step completed", "payment info entered",
    "session start", "first visit", "user engagement", "scroll", "view search results", "search", "login", "sign up",
    "begin checkout", "view cart", "add payment info", "add shipping info", "initiate checkout", "checkout started",
    "view promotion", "select promotion", "promotion viewed", "promotion clicked", "file download", "video start",
    "video progress", "video complete", "form start", "form submit", "screen view", "app open", "refund",
    "coupon entered", "coupon applied", "coupon denied", "coupon removed", "order updated", "order refunded",
    "order cancelled", "product list filtered", "product removed from wishlist", "product reviewed", "page ping",
    "application opened", "application installed", "application updated", "application backgrounded",
    "page viewed", "collection viewed", "search submitted", "payment info submitted", "checkout address info submitted",
    "checkout contact info submitted", "checkout shipping info submitted",
    "home page view", "category page view", "shopping cart page view", "search page view",
)  # fmt: skip
"""Standard events of the same systems that are not about one item."""
MAX_NAME_LENGTH = 64
_PAGES = frozenset({"pageview", "pv"})
_SEPARATORS = re.compile(r"[\s_.:/-]+")


class EventTypes:
    """Resolves the names of event types.

    Upper and lower case, blanks, hyphens and underscores make no difference. ``names`` maps further
    names, or numbers written as text, to event types, and to ``None`` what is to be ignored; it
    takes precedence. ``every`` is the type of all events, whatever they say. Raises ``ValueError``
    for a type that does not exist.
    """

    def __init__(self, names: Mapping[str, str | None] | None = None, every: str | None = None) -> None:
        if every is not None and every not in EVENT_TYPES:
            raise ValueError(f"event_type: {every} is not one of {', '.join(EVENT_TYPES)}")
        self.every = every
        self._meaning: dict[str, str | None] = {_plain(name): None for name in IGNORED}
        for event_type, others in NAMES.items():
            self._meaning |= dict.fromkeys(map(_plain, (event_type, *others)), event_type)
        for name, meaning in (names or {}).items():
            if meaning is not None and meaning not in EVENT_TYPES:
                raise ValueError(
                    f"event_types: {name} is mapped to {meaning}, which is not one of {', '.join(EVENT_TYPES)} or null"
                )
            self._meaning[_plain(name)] = meaning
        self._known = {name: meaning for name in EVENT_TYPES if (meaning := self._meaning[_plain(name)]) is not None}

    def resolve(self, name: object, with_item: bool = True) -> str | None:
        """Return the event type of this name, or ``None`` if such events are ignored.

        A name may be an integer. A view of a page ``with_item`` is a view, and else ignored. Raises
        `BadRecord` for an unknown name.
        """
        if type(name) is str and (known := self._known.get(name)) is not None:
            return known
        if isinstance(name, int) and not isinstance(name, bool) and abs(name) < 10**9:
            name = str(name)
        if not isinstance(name, str):
            raise BadRecord("wrong_type", f"event_type is {kind_of(name)}: write one of {', '.join(EVENT_TYPES)}")
        if len(name) <= MAX_NAME_LENGTH:
            plain = _plain(name)
            if plain in self._meaning:
                return self._meaning[plain] if with_item or plain not in _PAGES else None
        allowed = ", ".join(EVENT_TYPES)
        raise BadRecord(
            "unknown_event_type", f"event_type is {name[:50]!r}: write one of {allowed}, or map it with OUZEL_EVENT_TYPES"
        )


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()
