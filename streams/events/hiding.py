"""Which items are hidden at a time. Pure."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from streams.events.records import Item

SPARE = 64
"""Entries of the heap that may be out of date before it is built again, beside the live ones."""


JITTER_MS = 60_000
"""How far a clock may go back when it is corrected without having been wrong before."""


def is_hidden_at(item: Item, now_ms: int) -> bool:
    """Tell whether an item must not be shown at a time, in epoch ms."""
    return (
        item.is_hidden
        or not item.available
        or (item.stock is not None and item.stock <= 0)
        or (item.available_from is not None and now_ms < item.available_from)
        or (item.expires_at is not None and now_ms >= item.expires_at)
    )


class Hiding:
    """The set of hidden items, which changes with their records and with time.

    A heap has the times at which items change, so `at` costs nothing until one of them has come.
    """

    def __init__(self) -> None:
        self._now = 0
        self._hidden: set[str] = set()
        self._frozen: frozenset[str] | None = frozenset()
        self._timed: dict[str, Item] = {}
        self._due: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """How many times are waited for, outdated ones included."""
        return len(self._due)

    def at(self, now_ms: int) -> frozenset[str]:
        """Return the items that are hidden at a time, in epoch ms.

        The set never changes, and is the same object until an item changes. A time that is a little
        earlier counts as the latest one so far. After a much earlier one, time goes on from there:
        the clock was wrong before it.
        """
        if now_ms < self._now - JITTER_MS:
            self._go_back(now_ms)
        self._now = max(self._now, now_ms)
        while self._due and self._due[0][0] <= self._now:
            item_id = heappop(self._due)[1]
            if item_id in self._timed:  # its times may have changed since
                self._hide(item_id, hide=is_hidden_at(self._timed[item_id], self._now))
        if self._frozen is None:
            self._frozen = frozenset(self._hidden)
        return self._frozen

    def set(self, item_id: str, item: Item | None) -> None:
        """Take the latest record of an item. ``None`` means that it was removed."""
        self._timed.pop(item_id, None)
        if item is not None and (item.available_from is not None or item.expires_at is not None):
            self._timed[item_id] = item
            for time in self._times(item):
                heappush(self._due, (time, item_id))
            if len(self._due) > 4 * len(self._timed) + SPARE:
                self._build()
        self._hide(item_id, hide=item is not None and is_hidden_at(item, self._now))

    def _build(self) -> None:
        """Build the heap again, without entries that are out of date."""
        self._due = [(time, timed) for timed, item in self._timed.items() for time in self._times(item)]
        heapify(self._due)

    def _go_back(self, now_ms: int) -> None:
        self._now = now_ms
        self._build()
        for item_id, item in self._timed.items():
            self._hide(item_id, hide=is_hidden_at(item, now_ms))

    def _times(self, item: Item) -> list[int]:
        """Return the times at which the item changes, after the latest time."""
        return [time for time in (item.available_from, item.expires_at) if time is not None and time > self._now]

    def _hide(self, item_id: str, *, hide: bool) -> None:
        if hide != (item_id in self._hidden):
            (self._hidden.add if hide else self._hidden.discard)(item_id)
            self._frozen = None
