"""A synthetic shop from a seed: items with names, categories, brands and prices, and shoppers.

Shoppers browse in sessions, and they have habits: after each item they often go to one of a few
others, mostly of the same category and near in price. So a model of sequences is better than
popularity. New items arrive, and the habits can change at one moment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from streams.events.bounds import JsonObject

CATALOGUE: dict[str, tuple[str, ...]] = {
    "Footwear": ("Trail running shoes", "Walking boots", "Sandals", "Approach shoes", "Gaiters", "Wool socks"),
    "Camping": ("Two-person tent", "Sleeping mat", "Down sleeping bag", "Camp stove", "Cooking pot", "Head torch"),
    "Clothing": ("Rain jacket", "Merino shirt", "Fleece", "Hiking trousers", "Wind shirt", "Warm hat"),
    "Climbing": ("Harness", "Half rope", "Belay device", "Climbing helmet", "Chalk bag", "Quickdraws"),
    "Cycling": ("Gravel tyre", "Bike light", "Cycling gloves", "Bottle cage", "Chain oil", "Saddle bag"),
    "Water": ("Dry bag", "Paddle", "Life vest", "Snorkel", "Wetsuit", "Swim goggles"),
}
BRANDS = ("Ouzel", "Torrent", "Kestrel", "Moraine", "Alder", "Skerry", "Firn", "Bracken")
COLOURS = ("slate", "moss", "rust", "sand", "navy", "plum", "chalk", "amber")
NEXT = 6
"""Number of items that shoppers often go to after an item."""
HABIT = 0.72
"""Probability of going to one of these, rather than to a favourite."""
REPEAT = 0.08
"""Probability of another event on the same item."""
SESSION_EVENTS = 5.0
"""Mean number of further events in a session."""
GAP_MS = 3_600_000
"""A shopper who was away for longer begins a session."""


class Product(NamedTuple):
    """An item of the shop."""

    item_id: str
    name: str
    category: str
    brand: str
    price: float

    def record(self) -> JsonObject:
        """Return it as a record of the items topic."""
        return {
            "item_id": self.item_id,
            "item_name": self.name,
            "categories": [self.category],
            "brand": self.brand,
            "price": self.price,
            "currency": "EUR",
        }


@dataclass
class Shopper:
    """A user: favourite categories and brand, the item they look at, and the events left."""

    user_id: str
    tastes: list[str]
    brand: str
    at: int
    looking: Product | None = None
    left: int = 0


class Shop:
    """The shop and its shoppers. The same seed gives the same events, except for the times.

    After the share ``shift_at`` of the events, new habits are drawn. A tenth of the items arrives
    during the first nine tenths of the events. Without ``events`` the shop never closes.
    """

    def __init__(self, *, seed: int, users: int, items: int, events: int | None, start_ms: int, shift_at: float | None) -> None:
        self._rng = random.Random(seed)
        self._events = events
        self._shift_at = shift_at
        self.products = [self._product(n) for n in range(items)]
        self._open = max(items - items // 10, min(items, NEXT + 1))
        self._next: dict[str, list[Product]] = {}
        self._shoppers = [self._shopper(n, start_ms) for n in range(users)]
        self._start_ms = start_ms

    def opening(self) -> list[Product]:
        """Return the items that are there from the beginning."""
        return self.products[: self._open]

    def run(self, step_ms: float) -> Iterator[Product | JsonObject]:
        """Yield events in order of time, ``step_ms`` of event time apart, and new items.

        A new item comes as a `Product`, before the first event on it.
        """
        number, at = 0, float(self._start_ms)
        shifted = False
        while self._events is None or number < self._events:
            arrived = self._arrivals(number)
            if arrived is not None:
                yield arrived
            if not shifted and self._shift_at is not None and self._events and number >= self._shift_at * self._events:
                self._next.clear()
                shifted = True
            yield self._event(number, int(at))
            number, at = number + 1, at + step_ms

    def _arrivals(self, number: int) -> Product | None:
        span = (self._events or 50_000) * 0.9
        due = int(len(self.products) * 0.9 + len(self.products) * 0.1 * min(number / span, 1.0))
        if self._open < min(due, len(self.products)):
            self._open += 1
            return self.products[self._open - 1]
        return None

    def _event(self, number: int, at: int) -> JsonObject:
        rng = self._rng
        shopper = self._shoppers[min(int(rng.expovariate(4.0 / len(self._shoppers))), len(self._shoppers) - 1)]
        if shopper.left <= 0 or shopper.looking is None or at - shopper.at > GAP_MS:
            shopper.left = 1 + int(rng.expovariate(1 / SESSION_EVENTS))
            shopper.looking = self._favourite(shopper)
        elif rng.random() > REPEAT:
            shopper.looking = self._follow(shopper.looking) if rng.random() < HABIT else self._favourite(shopper)
        shopper.left -= 1
        shopper.at = at
        product = shopper.looking
        event: JsonObject = {
            "event_id": f"sim-{self._start_ms}-{number}",
            "user_id": shopper.user_id,
            "item_id": product.item_id,
            "timestamp": at,
            "event_type": rng.choices(("view", "like", "add_to_cart", "purchase"), (88, 3, 6, 3))[0],
        }
        if event["event_type"] == "purchase":
            event |= {"price": product.price, "currency": "EUR", "quantity": 1}
        return event

    def _follow(self, product: Product) -> Product:
        """Return an item that shoppers go to next. The first ones are more frequent."""
        after = self._next.get(product.item_id)
        if after is None:
            near = [p for p in self.products[: self._open] if p.category == product.category and p is not product]
            near.sort(key=lambda p: abs(p.price - product.price) * self._rng.uniform(0.5, 2.0))
            near = near[: NEXT - 2]
            others = self._rng.sample(self.products[: self._open], 2)
            after = self._next[product.item_id] = near + others
        weights = [1 / (n + 1) for n in range(len(after))]
        return self._rng.choices(after, weights)[0]

    def _favourite(self, shopper: Shopper) -> Product:
        """Return an item of a favourite category, often of the favourite brand, mostly popular."""
        category = self._rng.choice(shopper.tastes)
        of_category = [p for p in self.products[: self._open] if p.category == category] or self.products[: self._open]
        of_brand = [p for p in of_category if p.brand == shopper.brand]
        pool = of_brand if of_brand and self._rng.random() < 0.5 else of_category
        return pool[min(int(self._rng.expovariate(5.0 / len(pool))), len(pool) - 1)]

    def _product(self, n: int) -> Product:
        rng = self._rng
        category = rng.choice(list(CATALOGUE))
        brand = rng.choice(BRANDS)
        name = f"{brand} {rng.choice(CATALOGUE[category]).lower()}, {rng.choice(COLOURS)}"
        return Product(f"p{n:05d}", name, category, brand, round(rng.lognormvariate(3.8, 0.6), 2))

    def _shopper(self, n: int, at: int) -> Shopper:
        tastes = self._rng.sample(list(CATALOGUE), 2)
        return Shopper(f"shopper-{n}", tastes, self._rng.choice(BRANDS), at)
