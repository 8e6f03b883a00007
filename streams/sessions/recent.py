"""A bounded dict of the latest entries. It costs less per event than an LRU dict. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A dict of at least the last ``capacity / 2`` entries, and at most ``capacity`` entries.

    `put_all` may exceed the capacity for a while. Two plain dicts take turns: when the younger is
    full it becomes the older, and the entries of the previous older one are dropped.
    """

    def __init__(self, capacity: int) -> None:
        self._half = max(capacity // 2, 1)
        self._younger: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._younger.keys() | self._older.keys())

    def put(self, key: K, value: V) -> None:
        """Add or replace one entry."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger[key] = value

    def put_all(self, entries: Mapping[K, V]) -> None:
        """Add or replace these entries. All of them are kept, even if they exceed the capacity."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger.update(entries)

    def get(self, key: K) -> V | None:
        """Return the latest value of this key, or ``None`` if it was dropped or never added."""
        value = self._younger.get(key)
        return self._older.get(key) if value is None else value

    def take(self, key: K) -> V | None:
        """Remove this key and return its latest value, or ``None`` if there is none."""
        older = self._older.pop(key, None)
        return self._younger.pop(key, older)

    def keep(self, wanted: Callable[[K], bool]) -> None:
        """Drop every entry whose key is not wanted. Takes time in proportion to the entries."""
        for entries in (self._younger, self._older):
            for key in [key for key in entries if not wanted(key)]:
                del entries[key]

    def clear(self) -> None:
        """Drop every entry."""
        self._younger, self._older = {}, {}
