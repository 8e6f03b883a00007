"""The vocabulary: which item has which row of the arrays.

Items are added at first sight and can be removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Vocabulary:
    """Items by row and rows by item.

    A new item gets a free row of a removed item, or else the next row.
    """

    def __init__(self) -> None:
        self.items: list[str | None] = []
        self.free: list[int] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def height(self) -> int:
        """The number of rows ever used: every row of an item is below it."""
        return len(self.items)

    def row(self, item: str) -> int | None:
        """The row of an item; ``None`` if the item is unknown."""
        return self._rows.get(item)

    def rows(self, items: Iterable[str]) -> list[int]:
        """The rows of the known ones of these items, in order."""
        known = self._rows
        return [known[item] for item in items if item in known]

    def name(self, row: int) -> str:
        """The item of a row in use."""
        item = self.items[row]
        assert item is not None, f"row {row} is free"
        return item

    def add(self, item: str) -> int:
        """Give a new item a row."""
        if self.free:
            row = self.free.pop()
            self.items[row] = item
        else:
            row = len(self.items)
            self.items.append(item)
        self._rows[item] = row
        return row

    def remove(self, rows: Iterable[int]) -> None:
        """Remove the items of these rows; the rows become free."""
        for row in rows:
            del self._rows[self.name(row)]
            self.items[row] = None
            self.free.append(row)

    def restore(self, items: Sequence[str | None], free: Sequence[int]) -> None:
        """Take the items, by row, and free rows of another vocabulary.

        Raises ``ValueError`` unless each item has one row, and the free rows are those without one.
        """
        rows = {item: row for row, item in enumerate(items) if item is not None}
        without = [row for row, item in enumerate(items) if item is None]
        if len(rows) + len(without) != len(items) or sorted(free) != without:
            raise ValueError("an item has two rows, or the free rows are not those without an item")
        self.items, self.free, self._rows = list(items), list(free), rows
