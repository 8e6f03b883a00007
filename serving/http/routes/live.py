"""Figures of the system and a sample of all rankings, for the live page."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta
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
    """Figures of this server and of the workers. A figure that is not known is null."""

    at: Annotated[int, Meta(description="The time of the figures, epoch ms.")]
    events_per_second: Annotated[float | None, Meta(description="Events on Kafka, over the last 5 seconds.")]
    freshness_ms: Annotated[FreshnessMs | None, Meta(description="From an event to its ranking.")]
    lag: Annotated[int | None, Meta(description="Events that no worker has processed yet.")]
    learner_lag: Annotated[int | None, Meta(description="Transitions that the learner has not learned yet.")]
    dead_letters: Annotated[int | None, Meta(description="Records that the workers rejected since they started.")]
    loss: Annotated[float | None, Meta(description="The learner's training loss.")]
    tests: Annotated[int, Meta(description="Events on which the rankings were evaluated.")]
    accuracy: Annotated[list[Accuracy], Meta(description="How well each method predicts the next event.")]
    workers: WorkerCounts
    workers_down: Annotated[
        bool | None, Meta(description="Whether no worker answers, or none processes the events; null if this is not known.")
    ]
    users: Annotated[int, Meta(description="Users and anonymous sessions whose rankings this server keeps.")]
    items: Annotated[int, Meta(description="Items of the catalogue.")]
    kafka_available: Annotated[bool, Meta(description="Whether Kafka confirms what this server writes.")]
    newest_ranking_age_ms: Annotated[int | None, Meta(description="Time since the newest ranking was published.")]


class Sample(msgspec.Struct):
    """A published ranking, without the user's id."""

    visitor: Annotated[str, Meta(description="A hash in place of the user id. It changes when the server restarts.")]
    generated_at: Annotated[int, Meta(description="When the ranking was made, epoch ms.")]
    strategy: Annotated[str, Meta(description="The model that ranked the items.")]
    prefix: Annotated[list[str], Meta(description="The latest items of the session, oldest first.")]
    items: Annotated[list[RankedItem], Meta(description="The first 5 items.")]


_SECRET = secrets.token_bytes(16)
"""The key of the hashes that replace user ids.

It exists only in this process, so nobody can identify a visitor, or follow one across restarts.
"""
_decode = msgspec.json.Decoder(Recommendation).decode


async def get_live(call: Call) -> Response:
    service, now_ms = call.service, int(time.time() * 1000)
    workers, follows = service.workers.latest, service.settings.serve_live
    answer = Live(
        at=now_ms,
        events_per_second=round(service.live.events_per_second, 1) if follows else None,
        freshness_ms=service.live.freshness if follows else None,
        lag=workers.lag,
        learner_lag=workers.learner_lag,
        dead_letters=workers.dead_letters,
        loss=workers.loss,
        tests=workers.tests,
        accuracy=workers.accuracy,
        workers=workers.workers,
        workers_down=service.workers.health.down,
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
        async for sent in events(stream, _encode, service.settings, call.still_admitted):
            yield sent
            await asyncio.sleep(SAMPLE_EVERY_S)


async def _encode(ranking: CachedRanking | None) -> bytes:
    if ranking is None:
        return b""
    try:
        published = decoded(_decode, ranking.value)
    except BadData:
        return b""
    visitor = blake2b(ranking.owner.encode(), key=_SECRET, digest_size=3).hexdigest()
    sample = Sample(visitor, published.generated_at, published.strategy, published.prefix, published.items[:SAMPLE_ITEMS])
    return event("ranking", msgspec.json.encode(sample))


OPERATIONS = [
    Operation("GET", "/v1/live", get_live, "Figures of the system", "Live", answers={200: Live}),
    Operation(
        "GET", "/v1/live/stream", stream_live, "A sample of all rankings, as they are published", "Live",
        "Server-sent events named `ranking`, at most five a second, with a hash in place of the user id. Comments are "
        "heartbeats.",
        answers={200: str}, media=EVENT_STREAM, events={"ranking": Sample},
    ),
]  # fmt: skip
