"""Events in, and the ranking that they bring."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from serving.http.bodies import MEDIA, media_type, read_body, split
from serving.http.documents import Document
from serving.http.operations import Call, Operation
from serving.http.problems import RecordError
from serving.state.answers import RankingAnswer
from serving.state.ingest import Accepted, refused
from streams.events.decode import event_key
from streams.events.records import Event

MAX_WAIT_MS = 1000


class EventsQuery(msgspec.Struct, frozen=True):
    """Whether to wait for the ranking."""

    wait_ms: Annotated[
        int,
        Meta(ge=0, le=MAX_WAIT_MS, description="Answer with the ranking after the last event, if it comes within so many ms."),
    ] = 0


class AcceptedEvent(msgspec.Struct):
    """An event that Kafka has confirmed, and where it lies."""

    position: int
    event_id: str
    partition: int
    offset: int


class EventsAnswer(msgspec.Struct, kw_only=True):
    """What became of each event. ``waited`` is null without ``wait_ms``, or else says which ranking ``recommendation`` is:

    ``fresh``, the one that the event triggered, or a later one; the current one after a ``timeout``, for a ``duplicate``, which
    triggers none, and where ``no_ranking`` is due, as for an impression.
    """

    accepted: int
    refused: int
    events: list[AcceptedEvent]
    errors: list[RecordError]
    waited: str | None = None
    recommendation: RankingAnswer | None = None


class _Encoded(msgspec.Struct, kw_only=True):
    """An `EventsAnswer` whose ranking is encoded already."""

    accepted: int
    refused: int
    events: list[AcceptedEvent]
    errors: list[RecordError]
    waited: str | None
    recommendation: msgspec.Raw


async def post_events(call: Call) -> Response:
    service, began = call.service, time.perf_counter()
    media = media_type(call.request, MEDIA)
    limit, within_s = service.settings.serve_max_body_bytes, service.settings.serve_client_timeout_s
    body = split(await read_body(call.request, limit, within_s), media)
    accepted, errors = await service.ingest.accept(body.records)
    if not accepted:
        raise refused(errors, one=body.one)
    waited, ranking = None, b"null"
    if call.query.wait_ms:
        waited, ranking = await _wait(call, accepted[-1], call.query.wait_ms / 1000)
        service.telemetry.waits.labels(waited).inc()
        if waited == "fresh":
            service.telemetry.wait_seconds.observe(time.perf_counter() - began)
    answer = _Encoded(
        accepted=len(accepted),
        refused=len(errors),
        events=[AcceptedEvent(a.position, a.event.event_id, a.placed.partition, a.placed.offset) for a in accepted],
        errors=errors,
        waited=waited,
        recommendation=msgspec.Raw(ranking),
    )
    return Document(msgspec.json.encode(answer), 207 if errors else 202)


async def _wait(call: Call, last: Accepted, within_s: float) -> tuple[str, bytes]:
    """How the wait ended, and the ranking."""
    service, owner, placed = call.service, event_key(last.event).decode(), last.placed
    held = service.cache.all_of(owner)
    waited, found = "no_ranking", None
    if last.repeated or any(ranking.trigger_event_id == last.event.event_id for ranking in held):
        waited = "duplicate"
    if any(ranking.partition == placed.partition and ranking.trigger_offset >= placed.offset for ranking in held):
        waited = "fresh"
    elif waited != "duplicate" and last.triggers:
        found = await service.arrivals.after(owner, placed.partition, placed.offset, within_s)
        waited = "fresh" if found is not None else "timeout"
    body = await service.answers.by(found, owner) if found is not None else None
    return waited, body if body is not None else await service.answers.of(owner, last.event.session_id)


OPERATIONS = [
    Operation(
        "POST", "/v1/events", post_events, "Send events", "Events",
        "One event, a JSON array, or one a line (NDJSON), at most 500, checked as the worker checks. Each bad one is told by its "
        "position, and the others are accepted: 202 when all were, 207 when some were, 422 when none was. The answer comes when "
        "Kafka has confirmed. After a 503 they may have been written all the same: send them again, each with its `event_id`.",
        scope="events", query=EventsQuery, body=Event, body_media=MEDIA, answers={202: EventsAnswer, 207: EventsAnswer},
        problems=(429,),
    ),
]  # fmt: skip
