"""A process that sends events at a steady rate, and does not wait for answers (an open loop).

Event n is due n / rate seconds after the start, and its record is dated when it is due. If the
machine or the broker delays this process, the delay counts in the freshness of its events, so it
cannot be hidden. The process also reports by how much it was late itself.

It reads an `Order` from the file that its argument names, loads the events, prints "ready", and
begins at the time that it then reads: seconds of the monotonic clock. A rate of 0 sends everything
at once.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from bench.end_to_end.stream import Offered
from bench.end_to_end.wire import Batch, Sending

TICK_S = 0.001
"""The least time between two requests. Events that are due meanwhile are in one request."""
AT_ONCE = 2000
"""Events in a request of a backlog."""
ANSWERED_WITHIN_S = 60.0


class Order(msgspec.Struct, kw_only=True):
    """What to send: ``count`` events from index ``first`` on, at ``rate`` per second, to a topic.

    ``events`` is the file of the `Offered` events, ``result`` the file to write: the array
    ``late`` has, for each event, by how many seconds it was sent after it was due.
    """

    bootstrap: str
    topic: str
    events: str
    first: int
    count: int
    rate: float
    result: str


class Schedule:
    """Sends the events of one order when they are due."""

    def __init__(self, order: Order, wire: Sending, events: Offered) -> None:
        self._order, self._wire, self._events = order, wire, events
        self.late = np.zeros(order.count, np.float64)

    async def at_rate(self, begin: float) -> None:
        """Send each event as soon as it is due. ``begin`` is on the monotonic clock."""
        rate, count, done = self._order.rate, self._order.count, 0
        epoch = time.time() - time.monotonic()
        while done < count:
            now = time.monotonic()
            due = min(int((now - begin) * rate) + 1, count) if now >= begin else 0
            if due > done:
                self.send(done, due, [(epoch + begin + n / rate) * 1000 for n in range(done, due)])
                self.late[done:due] = time.monotonic() - begin - np.arange(done, due) / rate
                done = due
            await asyncio.sleep(max(begin + done / rate - time.monotonic(), TICK_S))

    async def at_once(self) -> None:
        """Send all events as fast as the broker takes them."""
        for done in range(0, self._order.count, AT_ONCE):
            until = min(done + AT_ONCE, self._order.count)
            self.send(done, until, [time.time() * 1000] * (until - done))
            await self._wire.answered(ANSWERED_WITHIN_S)

    def send(self, done: int, until: int, dates_ms: list[float]) -> None:
        """Send the events of the order from one index until before another, with these dates."""
        for batches in self._batches(done, until, dates_ms):
            self._wire.produce(batches)

    def _batches(self, done: int, until: int, dates_ms: list[float]) -> Iterator[dict[int, Batch]]:
        """The batches of one request or, if one batch is full, of several."""
        events, first, batches = self._events, self._order.first, dict[int, Batch]()
        for n, date in zip(range(done + first, until + first), dates_ms, strict=True):
            partition = events.partition[n]
            batch = batches.setdefault(partition, Batch())
            if not batch.append(int(date), events.key[n], events.value[n]):
                yield batches
                batches = {partition: (batch := Batch())}
                assert batch.append(int(date), events.key[n], events.value[n]), f"event {n} is too large"
        yield batches


async def main(order: Order) -> None:
    """Load, wait for the start, send, and write the result."""
    events = Offered.load(Path(order.events))
    wire = await Sending.open(order.bootstrap, order.topic)
    schedule = Schedule(order, wire, events)
    gc.collect()
    gc.freeze()
    gc.disable()
    print("ready", flush=True)
    begin = float(sys.stdin.readline())
    await (schedule.at_rate(begin) if order.rate else schedule.at_once())
    await wire.answered(ANSWERED_WITHIN_S)
    np.savez(order.result, late=schedule.late, refused=wire.refused())
    wire.close()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)))
