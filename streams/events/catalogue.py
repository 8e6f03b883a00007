"""The items topic in memory: item names for explanations, and the items that must not be shown.

The model learns nothing from it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.events.bounds import BadRecord
from streams.events.hiding import Hiding
from streams.events.item_keys import ItemKeys, id_of_key, is_key_of
from streams.events.items import json_item, read_item
from streams.events.records import Item

KEY = "key"
"""The name under which `Catalogue.apply` reports a record key that is not the item's id."""


class Applied(NamedTuple):
    """What became of a record of the items topic.

    ``item_id`` is the item of its value, or ``None`` for a removal. ``dropped`` says why fields
    were dropped, by their names. Under `KEY` it says that the key is not the item's id or latest
    key.
    """

    item_id: str | None
    dropped: Mapping[str, BadRecord]


class Catalogue:
    """The latest record of every item."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._keys = ItemKeys()
        self._hiding = Hiding()

    def __len__(self) -> int:
        return len(self._items)

    def hidden(self, now_ms: int) -> frozenset[str]:
        """Return the items that must not be shown at a time, in epoch ms.

        The set never changes: any thread may keep it. It is the same object until an item changes.
        A time that is a little earlier counts as the latest one so far; see `Hiding.at`.
        """
        return self._hiding.at(now_ms)

    def apply(self, key: bytes | None, value: bytes | None) -> Applied:
        """Take a record of the items topic. A null value removes the items of its key.

        Raises `BadRecord` if the record is neither an item nor a removal; then nothing has changed.
        """
        if value is None:
            return Applied(None, self._remove(key))
        item, dropped = read_item(json_item(value), id_of_key(key))
        if key is not None and not is_key_of(key, item.item_id):
            dropped[KEY] = BadRecord("out_of_bounds", "key is not the item_id: of the items with one key, Kafka keeps the last")
        self._set(item.item_id, item)
        self._keys.set(item.item_id, key)
        return Applied(item.item_id, dropped)

    def get(self, item_id: str) -> Item | None:
        """Return the item's latest record, if there is one."""
        return self._items.get(item_id)

    def name(self, item_id: str) -> str:
        """Return the item's name, or its id if it has no name."""
        item = self._items.get(item_id)
        return item.item_name if item is not None and item.item_name else item_id

    def key(self, item_id: str) -> bytes:
        """Return the record key under which to write or remove an item: see `ItemKeys.to_write`.

        A key that is the id of another item is not used, because it would replace that item.
        """
        key = self._keys.to_write(item_id)
        as_text = key.decode(errors="replace")
        return item_id.encode() if as_text in self._items and as_text != item_id else key

    def _remove(self, key: bytes | None) -> Mapping[str, BadRecord]:
        """Remove the items whose latest record had this key, or else the item that it names."""
        if not key:
            raise BadRecord("null", "the record has neither a key nor a value")
        removed, dropped = [*self._keys.items(key)], {}
        as_text = key.decode(errors="replace")
        if as_text in self._items and self._keys.latest(as_text) == key:
            removed.append(as_text)
        if not removed:
            named = id_of_key(key)
            if named is None:
                raise BadRecord("not_utf8", "key")
            if named in self._items:
                removed.append(named)
                dropped[KEY] = BadRecord("out_of_bounds", "key is not the one of the item's latest record, which Kafka keeps")
        for item_id in removed:
            self._set(item_id, None)
            self._keys.set(item_id, None)
        return dropped

    def _set(self, item_id: str, item: Item | None) -> None:
        if item is None:
            self._items.pop(item_id, None)
        else:
            self._items[item_id] = item
        self._hiding.set(item_id, item)
