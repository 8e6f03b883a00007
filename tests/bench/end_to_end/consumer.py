"""A process that reads the recommendations and notes when each arrived, and whether it was right.

A recommendation for event n is right if the item of the session's next event is among its first
20. This needs the ids in the JSON and nothing else, so the process looks for them in the bytes; it
decodes only what does not have the usual form.

It reads an `Order` from the file that its argument names, loads the events and prints "ready". Then
it reads until when, in seconds of the monotonic clock, it should wait for recommendations that do
not come. It stops as soon as it has one for every event.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
from bench.end_to_end.stream import NONE, Offered
from bench.end_to_end.windows import MISSED, UNTESTED
from bench.end_to_end.wire import Fetching

TRIGGER, ITEM = b'"trigger_event_id":"', b'"item_id":"'


class Order(msgspec.Struct, kw_only=True):
    """What to wait for: the recommendations of ``count`` events from index ``first`` on.

    ``positions`` are the ends of the topic's partitions. The arrays of ``result`` have one entry
    per event: ``arrived`` in seconds of the monotonic clock, NaN if nothing did, and the ``place``
    of the session's next item in the ranking, counting from 0. ``repeated`` counts further
    recommendations for an event.
    """

    bootstrap: str
    topic: str
    events: str
    first: int
    count: int
    positions: dict[int, int]
    result: str


class _Item(msgspec.Struct):
    item_id: str


class _Ranking(msgspec.Struct):
    trigger_event_id: str
    items: list[_Item]


_decode = msgspec.json.Decoder(_Ranking).decode


def trigger_of(value: bytes) -> str:
    """The id of the event that a recommendation is for; empty if none triggered it."""
    begin = value.find(TRIGGER) + len(TRIGGER)
    if begin < len(TRIGGER):
        return _decode(value).trigger_event_id
    return value[begin : value.index(b'"', begin)].decode()


def place_of(item: str, value: bytes) -> int:
    """The place of an item in a recommendation, counting from 0, or `MISSED`."""
    if ITEM not in value:
        items = [ranked.item_id for ranked in _decode(value).items]
        return items.index(item) if item in items else MISSED
    at = value.find(b'%s%s"' % (ITEM, item.encode()))
    return value.count(ITEM, 0, at) if at >= 0 else MISSED


class Noting:
    """Notes the recommendations for the events of one order."""

    def __init__(self, order: Order, events: Offered) -> None:
        self._first, self._end, self._events = order.first, order.first + order.count, events
        self.arrived = np.full(order.count, np.nan)
        self.place = np.full(order.count, UNTESTED, np.int16)
        self.left, self.repeated, self.foreign = order.count, 0, 0

    def take(self, value: bytes | None, now: float) -> None:
        """Note a recommendation that has just arrived; ``None`` is a tombstone."""
        trigger = "" if value is None else trigger_of(value)
        row = int(trigger) - self._first if trigger.isdecimal() else -1
        if value is None or not 0 <= row < len(self.arrived):
            self.foreign += 1
            return
        if not np.isnan(self.arrived[row]):
            self.repeated += 1
            return
        self.arrived[row] = now
        self.left -= 1
        following = self._events.following[self._first + row]
        if NONE < following < self._end:  # what is not offered tests nothing
            self.place[row] = place_of(self._events.item[following], value)


async def main(order: Order) -> None:
    """Load, read until everything has arrived or the time is up, and write the result."""
    noting = Noting(order, Offered.load(Path(order.events)))
    wire, positions = await Fetching.open(order.bootstrap, order.topic), dict(order.positions)
    gc.collect()
    gc.freeze()
    gc.disable()
    print("ready", flush=True)
    until = float(sys.stdin.readline())
    while noting.left and time.monotonic() < until:
        records = await wire.fetch(positions)
        now = time.monotonic()
        for _, _, value in records:
            noting.take(value, now)
    np.savez(order.result, arrived=noting.arrived, place=noting.place, repeated=noting.repeated, foreign=noting.foreign)
    wire.close()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)))
