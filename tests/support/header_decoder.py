"""A user's decoder that reads the item from a header, as CloudEvents' binary mode does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def decode(value: bytes, headers: Sequence[tuple[str, bytes]]) -> Mapping[str, object]:
    """Return the event. Raises ``ValueError`` unless the headers are exactly the producer's."""
    if [name for name, _ in headers] != ["trace", "item"]:
        raise ValueError(f"unexpected headers: {headers}")
    return {"user_id": value.decode(), "item_id": dict(headers)["item"].decode()}
