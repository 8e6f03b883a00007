"""Server-sent events (WHATWG HTML, 9.2): their encoding, and the loop that every stream runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from serving.state.arrivals import RankingStream
from serving.state.cache import CachedRanking
from streams.settings import Settings

RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"


def event(name: str, data: bytes, identity: str = "") -> bytes:
    """Encode one event. ``data`` is JSON without line breaks."""
    head = f"event: {name}\nid: {identity}\ndata: " if identity else f"event: {name}\ndata: "
    return head.encode() + data + b"\n\n"


async def events(
    stream: RankingStream,
    encode: Callable[[CachedRanking | None], Awaitable[bytes]],
    settings: Settings,
    admitted: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """Yield the encoded rankings of a stream, and heartbeats between them.

    It ends when the stream ends, when the stream is older than ``serve_stream_s``, or when
    ``admitted`` returns False because the client's key was revoked. ``admitted`` is called right
    before each event, because the key may be revoked during the wait before it. To skip a ranking,
    ``encode`` returns no bytes.
    """
    yield RETRY
    clock, heartbeat_s = asyncio.get_running_loop().time, settings.serve_heartbeat_s
    until = clock() + settings.serve_stream_s
    while not stream.ended and admitted() and (left := until - clock()) > 0:
        if not await stream.wait(min(heartbeat_s, left)):
            if not admitted():
                return
            yield HEARTBEAT
            continue
        for ranking in stream.take():
            data = await encode(ranking)
            if not admitted():
                return
            yield data
