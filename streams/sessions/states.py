"""The session states that a unit of work reads and changes, cached decoded between units."""

from __future__ import annotations

from collections.abc import Mapping

from streams.sessions.recent import Recent
from streams.sessions.step import State, unpack
from streams.sessions.store import Changes, SessionStore

CACHED = 8192
"""Number of decoded states that are kept between units, a few kB each."""
LARGE_BYTES = 12_288
"""States of a longer stored form are not kept: ids of 256 bytes would make them 40 kB each."""


class States:
    """A read-through cache of the store.

    A unit changes the cached states in place. If it is abandoned, the cache differs from the store
    and is cleared. `Pipeline` calls, per unit: `begin`, then `get` and `empty` in step 4, then
    `stored` in step 7.
    """

    def __init__(self, store: SessionStore, capacity: int = CACHED) -> None:
        self._store = store
        self._cached: Recent[tuple[int, bytes], State] = Recent(capacity)
        self._in_unit: dict[tuple[int, bytes], State] = {}
        self._large: set[tuple[int, bytes]] = set()

    def begin(self) -> None:
        """Begin a unit. If the previous one was not stored, clear the cache."""
        if self._in_unit:
            self.refresh()

    def refresh(self) -> None:
        """Clear the cache, as after a rebalance, when other workers may have changed the states."""
        self._cached.clear()
        self._in_unit, self._large = {}, set()

    def get(self, partition: int, key: bytes) -> State:
        """Return the state as this unit has left it so far. The caller may change it in place."""
        name = (partition, key)
        state = self._in_unit.get(name)
        if state is None:
            state = self._cached.get(name)
            if state is None:
                stored = self._store.get(partition, key)
                state = State() if stored is None else unpack(stored)
                if stored is not None and len(stored) > LARGE_BYTES:
                    self._large.add(name)
            self._in_unit[name] = state
        return state

    def empty(self, partition: int, key: bytes) -> None:
        """Replace the state by an empty one."""
        self._in_unit[partition, key] = State()

    def stored(self, changes: Mapping[int, Changes] | None = None) -> None:
        """Cache the states of the unit, which the store has now.

        ``changes`` are what was stored, by partition. Large states are not cached.
        """
        for partition, changed in (changes or {}).items():
            self._large.update((partition, key) for key, value in changed.states.items() if len(value) > LARGE_BYTES)
        for name in self._large:
            self._in_unit.pop(name, None)
            self._cached.take(name)
        self._cached.put_all(self._in_unit)
        self._in_unit, self._large = {}, set()
