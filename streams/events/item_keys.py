"""The record keys of items: text, JSON text, or Kafka's big-endian integers.

A key is needed for two things: it is the id of an item whose fields have none, and a record with a
key and without a value removes an item. Pure.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from streams.events.bounds import BadRecord, check_id
from streams.events.json_bytes import json_value

INTEGER_LENGTHS = (4, 8)
"""Lengths of the keys that Kafka's serializers of integers and longs write."""


def id_of_key(key: bytes | None) -> str | None:
    """Return the id that a record key names, or ``None`` if it names none.

    A JSON text, with quotation marks, is the id within them. Any other text is the id, unless it is
    a JSON object or list. Bytes that are not a text without control characters are an integer if
    there are four or eight of them. An integer of four printable bytes, from 538,976,288 on, thus
    reads as text: give such items an id in their fields.
    """
    if not key:
        return None
    try:
        if key[:1] in (b'"', b"{", b"["):
            return _id_of_json(key)
        return check_id("key", key.decode())
    except (BadRecord, UnicodeDecodeError):
        return _integer(key)


def is_key_of(key: bytes, item_id: str) -> bool:
    """Tell whether a record key is this id in one of its forms."""
    return key == item_id.encode() or id_of_key(key) == item_id or _integer(key) == item_id


def _id_of_json(key: bytes) -> str | None:
    try:
        decoded = json_value(key)
    except BadRecord:
        return check_id("key", key.decode())
    return check_id("key", decoded) if isinstance(decoded, str) else None


def _integer(key: bytes) -> str | None:
    return str(int.from_bytes(key, "big", signed=True)) if len(key) in INTEGER_LENGTHS else None


class ItemKeys:
    """The keys of the latest records of items."""

    def __init__(self) -> None:
        self._key: dict[str, bytes] = {}
        self._items: dict[bytes, set[str]] = {}

    def set(self, item_id: str, key: bytes | None) -> None:
        """Keep the key of an item's latest record. ``None`` counts as the id."""
        before = self._key.pop(item_id, None)
        if before is not None:
            self._items[before].discard(item_id)
            if not self._items[before]:
                del self._items[before]
        if key is not None and key != item_id.encode():
            self._key[item_id] = key
            self._items.setdefault(key, set()).add(item_id)

    def items(self, key: bytes) -> AbstractSet[str]:
        """Return the items whose latest record had this key and another id."""
        return self._items.get(key, frozenset())

    def latest(self, item_id: str) -> bytes:
        """Return the key of an item's latest record."""
        return self._key.get(item_id) or item_id.encode()

    def to_write(self, item_id: str) -> bytes:
        """Return the key under which to write an item.

        It is the latest one, so that the new record replaces the last one when Kafka compacts the
        topic. It is the id if other items have the same key, because Kafka keeps only one of them.
        """
        key = self.latest(item_id)
        return key if len(self.items(key)) <= 1 else item_id.encode()
