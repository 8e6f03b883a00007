"""Server-sent events, as bytes (WHATWG HTML, 9.2), and the loop that every stream is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from serving.arrivals import Stream
from serving.cache import CachedRanking

RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"


def event(name: str, data: bytes, identity: str = "") -> bytes:
    """One event. ``data`` is JSON, which holds no line break."""
    told = f"event: {name}\nid: {identity}\ndata: " if identity else f"event: {name}\ndata: "
    return told.encode() + data + b"\n\n"


async def events(
    stream: Stream, encode: Callable[[CachedRanking | None], Awaitable[bytes]], heartbeat_s: float, admitted: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """What comes, encoded, and a heartbeat where nothing does; until the stream's end, or until its reader may read no more."""
    yield RETRY
    while not stream.ended and admitted():
        if not await stream.wait(heartbeat_s):
            yield HEARTBEAT
            continue
        for ranking in stream.take():
            yield await encode(ranking)
