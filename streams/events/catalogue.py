"""The items topic in memory: item names for explanations, and the items that must not be shown.

The model learns nothing from it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.events.bounds import MAX_CURRENCY_LENGTH, BadRecord, check_id, check_number, check_text
from streams.events.event_time import event_time
from streams.events.json_bytes import json_object
from streams.events.records import Item

MAX_ITEM_BYTES = 100_000
MAX_NAME_LENGTH = 1024
MAX_LABELS = 64
MAX_LABEL_LENGTH = 256


class Catalogue:
    """The latest record of every item."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._hidden: set[str] = set()
        self._frozen: frozenset[str] | None = frozenset()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def hidden(self) -> frozenset[str]:
        """The items that must not be shown now. The set never changes: any thread may keep it."""
        if self._frozen is None:
            self._frozen = frozenset(self._hidden)
        return self._frozen

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the items topic. A null value removes the item.

        Raises `BadRecord`; then nothing has changed.
        """
        if value is None:
            self._set(_removed(key), None)
            return
        item = decode_item(value)
        # A removal has only a key. An item under another key could never be removed.
        if key is not None and key != item.item_id.encode():
            raise BadRecord("out_of_bounds", "the key is not the item_id")
        self._set(item.item_id, item)

    def get(self, item_id: str) -> Item | None:
        """Return the item's latest record, if there is one."""
        return self._items.get(item_id)

    def name(self, item_id: str) -> str:
        """Return the item's name, or its id if it has no name."""
        item = self._items.get(item_id)
        return item.item_name if item is not None and item.item_name else item_id

    def _set(self, item_id: str, item: Item | None) -> None:
        if item is None:
            self._items.pop(item_id, None)
        else:
            self._items[item_id] = item
        hide = item is not None and item.is_hidden
        if hide != (item_id in self._hidden):
            (self._hidden.add if hide else self._hidden.discard)(item_id)
            self._frozen = None


def decode_item(value: bytes) -> Item:
    """Decode and check an item. Null fields count as absent, unknown fields are ignored.

    Raises `BadRecord`.
    """
    if not value:
        raise BadRecord("empty")
    if len(value) > MAX_ITEM_BYTES:
        raise BadRecord("too_large", f"{len(value)} bytes, at most {MAX_ITEM_BYTES}")
    return item_of(json_object(value))


def item_of(fields: Mapping[str, object]) -> Item:
    """Check the fields of an item that is already decoded. Raises `BadRecord`."""
    raw = {name: value for name, value in fields.items() if value is not None}
    if "item_id" not in raw:
        raise BadRecord("missing_field", "item_id")
    hidden = raw.get("is_hidden", False)
    if not isinstance(hidden, bool):
        raise BadRecord("wrong_type", f"is_hidden is {type(hidden).__name__}")
    return Item(
        item_id=check_id("item_id", raw["item_id"]),
        item_name=_text("item_name", raw, MAX_NAME_LENGTH),
        categories=_categories(raw.get("categories", [])),
        brand=_text("brand", raw, MAX_LABEL_LENGTH),
        price=check_number("price", raw["price"]) if "price" in raw else None,
        currency=_text("currency", raw, MAX_CURRENCY_LENGTH),
        is_hidden=hidden,
        created_at=event_time(raw["created_at"], 0) if "created_at" in raw else None,
        labels=_labels(raw.get("labels", {})),
    )


def _removed(key: bytes | None) -> str:
    """Return the id of the item that a record without a value removes."""
    if not key:
        raise BadRecord("null", "the record has neither a key nor a value")
    try:
        return check_id("key", key.decode())
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "key") from None


def _text(name: str, raw: Mapping[str, object], longest: int) -> str | None:
    return check_text(name, raw[name], longest) if name in raw else None


def _categories(value: object) -> list[str]:
    if not isinstance(value, list):
        raise BadRecord("wrong_type", f"categories is {type(value).__name__}")
    _check_count("categories", len(value))
    return [check_text("a category", category, MAX_LABEL_LENGTH) for category in value]


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadRecord("wrong_type", f"labels is {type(value).__name__}")
    _check_count("labels", len(value))
    return {check_id("a label", name): check_text("a label", text, MAX_NAME_LENGTH) for name, text in value.items()}


def _check_count(name: str, count: int) -> None:
    if count > MAX_LABELS:
        raise BadRecord("out_of_bounds", f"{count} {name}, at most {MAX_LABELS}")
