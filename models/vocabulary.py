"""The open vocabulary: an item gets a row at its first sight. (Expiry of the longest unseen is a later version's.)"""

from __future__ import annotations

from collections.abc import Iterable


class Vocabulary:
    """Items by row and rows by item; rows are given in order of first sight."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.items)

    def row(self, item: str) -> int | None:
        """The item's row, if it is known."""
        return self._rows.get(item)

    def rows(self, items: Iterable[str]) -> list[int]:
        """The rows of those items that are known, in order."""
        known = self._rows
        return [known[item] for item in items if item in known]

    def add(self, item: str) -> int:
        """Give a new item the next row."""
        row = self._rows[item] = len(self.items)
        self.items.append(item)
        return row
