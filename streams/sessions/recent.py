"""A bounded dict of what was put last, for less than an order of use would cost each event."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Holds at most ``capacity`` entries and what was put at once beyond it, and always the last ``capacity / 2`` that were put.

    Two plain dicts take turns: when the younger is full it becomes the older, and the older is forgotten.
    """

    def __init__(self, capacity: int) -> None:
        self._half = max(capacity // 2, 1)
        self._younger: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._younger.keys() | self._older.keys())

    def put(self, key: K, value: V) -> None:
        """Keep this."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger[key] = value

    def put_all(self, entries: Mapping[K, V]) -> None:
        """Keep these, all of them, however many."""
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger.update(entries)

    def get(self, key: K) -> V | None:
        """What was put last under this key, if it is still held."""
        found = self._younger.get(key)
        return self._older.get(key) if found is None else found

    def take(self, key: K) -> V | None:
        """The same, and hold it no longer."""
        older = self._older.pop(key, None)
        return self._younger.pop(key, older)

    def keep(self, wanted: Callable[[K], bool]) -> None:
        """Hold nothing any longer but under keys that this is true of; looks at every one."""
        for held in (self._younger, self._older):
            for key in [key for key in held if not wanted(key)]:
                del held[key]

    def clear(self) -> None:
        """Hold nothing."""
        self._younger, self._older = {}, {}
