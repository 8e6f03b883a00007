"""The items topic in memory: names to explain with, and what must not be shown. It is no learned state."""

from __future__ import annotations

import msgspec

from streams.decode import BadRecord, check_id, check_number
from streams.records import Item

_decode = msgspec.json.Decoder(Item).decode
MAX_ITEM_BYTES = 100_000


class Catalogue:
    """The latest record of every item."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self.hidden: set[str] = set()

    def __len__(self) -> int:
        return len(self._items)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the items topic; a null value removes the item. Raises `BadRecord`, and changes nothing."""
        if not value:
            self._remove(_key(key))
            return
        item = decode_item(value)
        if key is not None and key != item.item_id.encode():
            raise BadRecord("out_of_bounds", "the key is not the item_id")
        self._items[item.item_id] = item
        (self.hidden.add if item.is_hidden else self.hidden.discard)(item.item_id)

    def get(self, item_id: str) -> Item | None:
        """What is known of an item."""
        return self._items.get(item_id)

    def name(self, item_id: str) -> str:
        """The item in words; its id where it has no name."""
        item = self._items.get(item_id)
        return item.item_name if item is not None and item.item_name else item_id

    def _remove(self, item_id: str) -> None:
        self._items.pop(item_id, None)
        self.hidden.discard(item_id)


def decode_item(value: bytes) -> Item:
    """Decode and check an item. Raises `BadRecord`."""
    if len(value) > MAX_ITEM_BYTES:
        raise BadRecord("too_large", f"{len(value)} bytes, at most {MAX_ITEM_BYTES}")
    try:
        item = _decode(value)
    except msgspec.ValidationError as error:
        raise BadRecord("wrong_type", str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord("invalid_json", str(error)[:200]) from None
    except RecursionError:
        raise BadRecord("too_deep") from None
    check_id("item_id", item.item_id)
    check_number("price", item.price)
    return item


def _key(key: bytes | None) -> str:
    try:
        return check_id("key", (key or b"").decode())
    except UnicodeDecodeError:
        raise BadRecord("not_utf8", "key") from None
