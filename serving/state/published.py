"""The first items of a ranking, cut out of the bytes that were published: a request then needs no JSON decoded or encoded.

Only of bytes laid out as a worker lays them out. The marks that are looked for hold quotes, which within a JSON string are
escaped: so no id, whatever it is, can be taken for one.
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
    """The fields of a published ranking up to its ``k`` th item, but for the user, with no bracket closed.

    ``None`` where it has fewer items, or another layout.
    """
    user = value.find(_USER)
    session, last = value.find(_SESSION, user), value.find(b',"rank":%d,' % k)
    if user < 0 or session < 0 or last < 0 or not value.startswith(_BEGIN):
        return None
    following = value.find(b',"rank":%d,' % (k + 1), last)
    end = value.rfind(_END, last) if following < 0 else value.rfind(_ITEM, last, following)
    return value[1:user] + value[session:end] if end >= 0 else None
