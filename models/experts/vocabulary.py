"""The open, bounded vocabulary: an item gets a row at its first sight and loses it when it was unseen for longest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Vocabulary:
    """Items by row and rows by item. Rows are given in order; what was given up is given again before new ones."""

    def __init__(self) -> None:
        self.items: list[str | None] = []
        self.free: list[int] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def height(self) -> int:
        """Rows ever given: every known item's is below."""
        return len(self.items)

    def row(self, item: str) -> int | None:
        """The item's row, if it is known."""
        return self._rows.get(item)

    def rows(self, items: Iterable[str]) -> list[int]:
        """The rows of those items that are known, in order."""
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
        """Forget the items of these rows."""
        for row in rows:
            del self._rows[self.name(row)]
            self.items[row] = None
            self.free.append(row)

    def restore(self, items: Sequence[str | None], free: Sequence[int]) -> None:
        """Become what another was."""
        self.items, self.free = list(items), list(free)
        self._rows = {item: row for row, item in enumerate(items) if item is not None}
