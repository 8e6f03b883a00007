"""The catalogue as a shop shows it: by category, in the order in which items arrived.

Pure of HTTP and Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from streams.events.catalogue import Catalogue
from streams.events.records import Item


class Shelves(Catalogue):
    """A `Catalogue` that also lists the items of each category."""

    def __init__(self) -> None:
        super().__init__()
        self._shelves: dict[str, dict[str, None]] = {}

    def category(self, name: str) -> AbstractSet[str]:
        """Return the ids of a category in order, as a view that changes with the catalogue."""
        return self._shelves.get(name, {}).keys()

    def ids(self) -> AbstractSet[str]:
        """Return the id of every item in order, as a view that changes with the catalogue."""
        return self._items.keys()

    @property
    def categories(self) -> Mapping[str, int]:
        """The number of items of each category, hidden ones included."""
        return {name: len(shelf) for name, shelf in self._shelves.items()}

    def items(self, hidden: AbstractSet[str], category: str | None = None) -> Iterator[Item]:
        """Iterate over the items outside ``hidden``, of one category or of all."""
        ids = self._items if category is None else self._shelves.get(category, {})
        return (self._items[item_id] for item_id in ids if item_id not in hidden)

    def shown(self, hidden: AbstractSet[str], category: str | None = None) -> int:
        """Return how many items are outside ``hidden``, of one category or of all."""
        ids = self.ids() if category is None else self.category(category)
        return len(ids) - sum(item_id in ids for item_id in hidden)

    def _set(self, item_id: str, item: Item | None) -> None:
        before = self._items.get(item_id)
        super()._set(item_id, item)
        had, has = set(before.categories if before else ()), dict.fromkeys(item.categories if item else ())
        for name in had - has.keys():
            shelf = self._shelves[name]
            del shelf[item_id]
            if not shelf:
                del self._shelves[name]
        for name in has:
            self._shelves.setdefault(name, {})[item_id] = None
