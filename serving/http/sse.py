"""Server-sent events, as bytes (WHATWG HTML, 9.2), and the loop that every stream is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from serving.state.arrivals import RankingStream
from serving.state.cache import CachedRanking
from streams.settings import Settings

RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"


def event(name: str, data: bytes, identity: str = "") -> bytes:
    """One event. ``data`` is JSON, which holds no line break."""
    told = f"event: {name}\nid: {identity}\ndata: " if identity else f"event: {name}\ndata: "
    return told.encode() + data + b"\n\n"


async def events(
    stream: RankingStream,
    encode: Callable[[CachedRanking | None], Awaitable[bytes]],
    settings: Settings,
    admitted: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """What comes, encoded, and a heartbeat where nothing does; until the stream's end, or until its reader may read no more."""
    yield RETRY
    clock, heartbeat_s = asyncio.get_running_loop().time, settings.serve_heartbeat_s
    until = clock() + settings.serve_stream_s
    while not stream.ended and admitted() and (left := until - clock()) > 0:
        if not await stream.wait(min(heartbeat_s, left)):
            yield HEARTBEAT
            continue
        for ranking in stream.take():
            yield await encode(ranking)
