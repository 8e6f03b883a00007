from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from streams.events.decode import EventDecoder
from streams.tools.simulator import Product, Shop


def shop(**changes: Any) -> Shop:
    return Shop(**({"seed": 1, "users": 50, "items": 100, "events": 3000, "start_ms": 0, "shift_at": None} | changes))


def test_the_same_seed_gives_the_same_shop() -> None:
    assert list(shop().run(100)) == list(shop().run(100))
    assert list(shop().run(100)) != list(shop(seed=2).run(100))


def test_every_item_is_announced_before_its_first_event_and_new_ones_arrive() -> None:
    made = shop()
    known = {product.item_id for product in made.opening()}
    opened, events = len(known), 0
    for arrival in made.run(100):
        if isinstance(arrival, Product):
            known.add(arrival.item_id)
        else:
            events += 1
            assert arrival["item_id"] in known
    assert (opened, len(known), events) == (90, 100, 3000)


def successors(events: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    last: dict[str, str] = {}
    following: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if event["user_id"] in last:
            following[last[event["user_id"]]][event["item_id"]] += 1
        last[event["user_id"]] = event["item_id"]
    return following


def test_what_follows_an_item_predicts_better_than_popularity() -> None:
    events = [e for e in shop(events=20_000).run(100) if not isinstance(e, Product)]
    train, test = successors(events[:15_000]), successors(events[15_000:])
    popular = {item for item, _ in Counter(e["item_id"] for e in events[:15_000]).most_common(5)}
    total = sum(count for following in test.values() for count in following.values())
    by_sequence = sum(
        count
        for item, following in test.items()
        for after, count in following.items()
        if after in {name for name, _ in train[item].most_common(5)}
    )
    by_popularity = sum(count for following in test.values() for after, count in following.items() if after in popular)
    assert by_sequence / total > 2 * by_popularity / total


def moved(shift_at: float | None) -> float:
    """Share of the items whose most frequent next item differs between the two halves."""
    events = [e for e in shop(events=20_000, shift_at=shift_at).run(100) if not isinstance(e, Product)]
    before, after = successors(events[:10_000]), successors(events[10_000:])
    frequent = [item for item, following in after.items() if sum(following.values()) > 50 and before[item]]
    changed = [before[item].most_common(1)[0][0] != after[item].most_common(1)[0][0] for item in frequent]
    return sum(changed) / len(changed)


def test_a_shift_changes_what_follows_an_item() -> None:
    assert moved(0.5) > 2 * moved(None)


def test_events_are_valid() -> None:
    for happening in shop(events=200).run(100):
        if not isinstance(happening, Product):
            value = json.dumps(happening).encode()
            EventDecoder().decode(b"u", value, topic="t", partition=0, offset=0, timestamp_ms=10**9)
