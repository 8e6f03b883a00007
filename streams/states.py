"""The states of sessions as a unit of work sees them: decoded once, and those of the last units still at hand."""

from __future__ import annotations

from collections.abc import Mapping

from streams.recent import Recent
from streams.sessions import State, unpack
from streams.store import Changes, SessionStore

AT_HAND = 8192
"""States kept decoded between units; one weighs a few kB."""


class States:
    """Reads through to the store. A unit works on states that are taken from what is at hand, so one that is given up leaves
    none half done.
    """

    def __init__(self, store: SessionStore, capacity: int = AT_HAND) -> None:
        self._store = store
        self._at_hand: Recent[tuple[int, bytes], State] = Recent(capacity)
        self._in_unit: dict[tuple[int, bytes], State] = {}

    def begin(self) -> None:
        """Another unit begins."""
        self._in_unit = {}

    def refresh(self) -> None:
        """Partitions have changed hands, so nothing that is at hand holds."""
        self._at_hand.clear()

    def get(self, partition: int, key: bytes) -> State:
        """The state as this unit has it so far, to be changed in place."""
        name = (partition, key)
        state = self._in_unit.get(name)
        if state is None:
            state = self._at_hand.take(name)
            if state is None:
                stored = self._store.get(partition, key)
                state = State() if stored is None else unpack(stored)
            self._in_unit[name] = state
        return state

    def empty(self, partition: int, key: bytes) -> None:
        """The state is that of somebody who was never here."""
        self._in_unit[partition, key] = State()

    def stored(self, changes: Mapping[int, Changes]) -> None:
        """The unit is done and in the store: its states stay at hand, but for those removed."""
        for partition, of_partition in changes.items():
            for key, (_, value) in of_partition.states.items():
                name = (partition, key)
                if value is None:
                    self._at_hand.take(name)
                elif name in self._in_unit:
                    self._at_hand.put(name, self._in_unit[name])
