"""How it goes: figures and a sample of the stream, for the page."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from hashlib import blake2b

import msgspec
from starlette.responses import Response, StreamingResponse

from serving.http.documents import EVENT_STREAM, NO_STORE, Document
from serving.http.operations import Call, Operation
from serving.http.sse import event, events
from serving.state.cache import CachedRanking
from serving.state.live import FreshnessMs
from serving.state.workers import Accuracy, WorkerCounts
from streams.errors import BadData
from streams.events.records import RankedItem, Recommendation
from streams.kafka.decoding import decoded

SAMPLE_EVERY_S = 0.2
SAMPLE_ITEMS = 5


class Live(msgspec.Struct, kw_only=True):
    """What this copy sees on the topics, and what the workers say of themselves; null where not known. ``at`` is epoch ms."""

    at: int
    events_per_second: float | None
    freshness_ms: FreshnessMs | None
    lag: int | None
    learner_lag: int | None
    dead_letters: int | None
    loss: float | None
    tests: int
    accuracy: list[Accuracy]
    workers: WorkerCounts
    users: int
    items: int
    kafka_available: bool
    newest_ranking_age_ms: int | None


class Sample(msgspec.Struct):
    """A ranking as it was published, of somebody under a short hash; its first items."""

    visitor: str
    generated_at: int
    strategy: str
    prefix: list[str]
    items: list[RankedItem]


_SECRET = secrets.token_bytes(16)
"""Of this process: nobody can tell who a visitor is, or follow him beyond a restart."""
_decode = msgspec.json.Decoder(Recommendation).decode


async def get_live(call: Call) -> Response:
    service, now_ms = call.service, int(time.time() * 1000)
    told, follows = service.workers.told, service.settings.serve_live
    answer = Live(
        at=now_ms,
        events_per_second=round(service.live.events_per_second, 1) if follows else None,
        freshness_ms=service.live.freshness if follows else None,
        lag=told.lag,
        learner_lag=told.learner_lag,
        dead_letters=told.dead_letters,
        loss=told.loss,
        tests=told.tests,
        accuracy=told.accuracy,
        workers=told.workers,
        users=len(service.cache),
        items=len(service.shelves),
        kafka_available=service.writer.available,
        newest_ranking_age_ms=max(now_ms - service.newest_ms, 0) if service.newest_ms else None,
    )
    return Document(msgspec.json.encode(answer))


async def stream_live(call: Call) -> Response:
    return StreamingResponse(_samples(call), headers=NO_STORE, media_type=EVENT_STREAM)


async def _samples(call: Call) -> AsyncIterator[bytes]:
    service = call.service
    with service.arrivals.stream(None) as stream, service.telemetry.streams.labels("live").track_inprogress():
        async for told in events(stream, _encode, service.settings, call.still_admitted):
            yield told
            await asyncio.sleep(SAMPLE_EVERY_S)


async def _encode(ranking: CachedRanking | None) -> bytes:
    if ranking is None:
        return b""
    try:
        told = decoded(_decode, ranking.value)
    except BadData:
        return b""
    visitor = blake2b(ranking.owner.encode(), key=_SECRET, digest_size=3).hexdigest()
    sample = Sample(visitor, told.generated_at, told.strategy, told.prefix, told.items[:SAMPLE_ITEMS])
    return event("ranking", msgspec.json.encode(sample))


OPERATIONS = [
    Operation("GET", "/v1/live", get_live, "How it goes", "Live", answers={200: Live}),
    Operation(
        "GET", "/v1/live/stream", stream_live, "A sample of the rankings of everybody", "Live",
        "Server-sent events `ranking`, at most five a second, under a hash in place of the id.",
        answers={200: str}, media=EVENT_STREAM, events={"ranking": Sample},
    ),
]  # fmt: skip
