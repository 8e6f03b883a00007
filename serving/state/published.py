"""Cuts the first items of a ranking out of the published bytes, without decoding them.

This works only for the layout in which workers encode rankings. The byte patterns that it searches
for contain quotes. Quotes are escaped within a JSON string, so no id can match a pattern.
"""

from __future__ import annotations

_BEGIN, _USER, _SESSION, _ITEM, _END = (
    b'{"recommendation_id":',
    b',"user_id":',
    b',"session_id":',
    b',{"item_id":',
    b'],"took_ms":',
)


def first_items(value: bytes, k: int) -> bytes | None:
    """Return the fields of a published ranking up to its ``k`` th item.

    The user and the closing brackets are left out. Returns ``None`` if the ranking has fewer items
    or another layout. So does one with a line break, which would end a line of a stream.
    """
    if b"\n" in value or b"\r" in value:
        return None
    user = value.find(_USER)
    session, last = value.find(_SESSION, user), value.find(b',"rank":%d,' % k)
    if user < 0 or session < 0 or last < 0 or not value.startswith(_BEGIN):
        return None
    following = value.find(b',"rank":%d,' % (k + 1), last)
    end = value.rfind(_END, last) if following < 0 else value.rfind(_ITEM, last, following)
    return value[1:user] + value[session:end] if end >= 0 else None
