"""The states of sessions as a unit of work sees them: decoded once, and those of the last units still at hand."""

from __future__ import annotations

from streams.sessions.recent import Recent
from streams.sessions.step import State, unpack
from streams.sessions.store import SessionStore

AT_HAND = 8192
"""States kept decoded between units; one weighs a few kB."""


class States:
    """Reads through to the store. A unit works on the states at hand, so after one that is given up none of them holds."""

    def __init__(self, store: SessionStore, capacity: int = AT_HAND) -> None:
        self._store = store
        self._at_hand: Recent[tuple[int, bytes], State] = Recent(capacity)
        self._in_unit: dict[tuple[int, bytes], State] = {}

    def begin(self) -> None:
        """Another unit begins."""
        if self._in_unit:
            self.refresh()

    def refresh(self) -> None:
        """Nothing that is at hand holds: partitions have changed hands, say."""
        self._at_hand.clear()
        self._in_unit = {}

    def get(self, partition: int, key: bytes) -> State:
        """The state as this unit has it so far, to be changed in place."""
        name = (partition, key)
        state = self._in_unit.get(name)
        if state is None:
            state = self._at_hand.get(name)
            if state is None:
                stored = self._store.get(partition, key)
                state = State() if stored is None else unpack(stored)
            self._in_unit[name] = state
        return state

    def empty(self, partition: int, key: bytes) -> None:
        """The state is that of somebody who was never here."""
        self._in_unit[partition, key] = State()

    def stored(self) -> None:
        """The unit is done and in the store: its states stay at hand."""
        self._at_hand.put_all(self._in_unit)
        self._in_unit = {}
