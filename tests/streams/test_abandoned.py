"""Units that are abandoned and processed again: live accuracy is as if they had not been."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from support.in_memory import DictStore
from support.processes.running import samples

from models.recommender import QueryLike, Ranking
from streams.errors import Abandoned
from streams.events.decode import EventDecoder
from streams.events.records import recommendation_id
from streams.kafka.outbox import Outbox
from streams.observing.observer import MetricsObserver
from streams.observing.telemetry import Telemetry
from streams.pipeline import Pipeline
from streams.rules import rules_of, topics_of
from streams.sessions.deletion import Deleting
from streams.sessions.store import Changes
from streams.settings import Settings
from streams.wire.record import Record

AT = 1_790_000_000_000
ITEMS = 6
TOPIC = "ouzel.events"


class Action(NamedTuple):
    """What a user does: acts on an item, or is deleted (no item)."""

    user: int
    item: int | None
    names: bool
    """Whether the event names the recommendation of the record before it."""


class NextItems:
    """Ranks the items that follow the last one in a ring. The model is another one at each call."""

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        return [self._ranking(int(query.prefix[-1][1:])) for query in queries], ["i0", "i1"], 1

    def _ranking(self, last: int) -> Ranking:
        items = [f"i{(last + step) % ITEMS}" for step in (1, 2, 3)]
        return Ranking(items, [1.0] * 3, ["markov"] * 3, [None] * 3, "hybrid", {"markov": items[:1]})


class Delivery:
    """Abandons the next unit as often as it is told to."""

    def __init__(self) -> None:
        self.abandon, self._delivered = 0, 0

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        if self.abandon:
            self.abandon -= 1
            raise Abandoned
        self._delivered += 1
        return dict.fromkeys(changes, self._delivered)


def records(actions: Sequence[Action]) -> list[Record]:
    made = []
    for offset, action in enumerate(actions):
        event: dict[str, Any] = {"user_id": f"u{action.user}", "item_id": f"i{action.item}", "timestamp": AT + offset}
        if action.names and offset:
            event["recommendation_id"] = recommendation_id(TOPIC, 0, offset - 1)
        value = None if action.item is None else json.dumps(event).encode()
        made.append(Record(TOPIC, 0, offset, AT + offset, f"u{action.user}".encode(), value, ()))
    return made


def tallies(events: Sequence[Record], cuts: Sequence[int], abandoned: Sequence[int]) -> dict[str, float]:
    """Process the events in units that end at ``cuts``, each abandoned so often first.

    An abandoned unit holds twice as many events as it has when it is processed again. Returns the
    metrics of the quality of the rankings.
    """
    settings, telemetry, delivery = Settings(), Telemetry(), Delivery()
    observer = MetricsObserver(telemetry, TOPIC, lambda: {0})
    observer.exposure.head = frozenset({"i0"})
    pipeline = Pipeline(
        decoder=EventDecoder(), store=DictStore(), ranker=NextItems(), delivery=delivery,
        observer=observer, topics=topics_of(settings), rules=rules_of(settings, Deleting(b"", None)), now=lambda: AT / 1000,
    )  # fmt: skip

    async def run() -> None:
        generation = 0
        for number, (begin, end) in enumerate(pairwise(sorted({0, *cuts, len(events)}))):
            for _ in range(abandoned[number % len(abandoned)] if abandoned else 0):
                delivery.abandon, generation = 1, generation + 1
                try:
                    await pipeline.process({0: events[begin : 2 * end - begin]}, generation)
                except Abandoned:
                    continue
                raise AssertionError("the unit was not abandoned")
            await pipeline.process({0: events[begin:end]}, generation)

    asyncio.run(run())
    shown = samples(generate_latest(telemetry.registry).decode())
    prefixes = ("ouzel_prequential", "ouzel_live", "ouzel_recommend", "ouzel_catalogue", "ouzel_interactions")
    return {name: value for name, value in shown.items() if name.startswith(prefixes) and not math.isnan(value)}


action = st.builds(Action, st.integers(0, 2), st.integers(0, ITEMS - 1) | st.none(), st.booleans())


@given(
    st.lists(action, min_size=1, max_size=40), st.lists(st.integers(1, 40), max_size=6), st.lists(st.integers(0, 2), max_size=4)
)
def test_abandoned_units_change_no_tally(actions: list[Action], cuts: list[int], abandoned: list[int]) -> None:
    events = records(actions)
    within = [cut for cut in cuts if cut < len(events)]
    assert tallies(events, within, abandoned) == tallies(events, within, [])
