"""Receiving events, and answering with the ranking that they trigger."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from serving.http.bodies import MEDIA, read_records
from serving.http.documents import Document
from serving.http.operations import Call, Operation
from serving.http.problems import all_rejected
from serving.state.answers import RankingAnswer
from serving.state.ingest import Accepted
from serving.state.record_errors import RecordError
from streams.events.decode import event_key
from streams.events.records import Event

MAX_WAIT_MS = 1000


class EventsQuery(msgspec.Struct, frozen=True):
    """Whether to wait for the ranking that the events trigger."""

    wait_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_WAIT_MS,
            description="Wait up to this many ms for the ranking that the last event triggers, and answer with it.",
        ),
    ] = 0


class AcceptedEvent(msgspec.Struct):
    """An event that Kafka has confirmed."""

    position: Annotated[int, Meta(description="Its position in the request, from 0.")]
    event_id: Annotated[str, Meta(description="Its id: yours, or topic-partition-offset if it had none.")]
    partition: Annotated[int, Meta(description="Where it is on the events topic.")]
    offset: int


class EventsAnswer(msgspec.Struct, kw_only=True):
    """The outcome for each event of the request."""

    accepted: Annotated[int, Meta(description="Events that Kafka has confirmed.")]
    refused: Annotated[int, Meta(description="Events that were rejected.")]
    events: Annotated[list[AcceptedEvent], Meta(description="The accepted events.")]
    errors: Annotated[list[RecordError], Meta(description="Why each rejected event was rejected.")]
    waited: Annotated[
        str | None,
        Meta(
            description="How the wait ended; null without `wait_ms`. `fresh`: `recommendation` is the ranking that the last "
            "event triggered, or a later one. Otherwise it is the current ranking. `timeout`: no ranking came in time. "
            "`duplicate`: the event was accepted before. `no_ranking`: events of its type trigger none, for example impressions."
        ),
    ] = None
    recommendation: Annotated[RankingAnswer | None, Meta(description="The ranking; null without `wait_ms`.")] = None


class _Encoded(msgspec.Struct, kw_only=True):
    """An `EventsAnswer` whose ranking is already encoded."""

    accepted: int
    refused: int
    events: list[AcceptedEvent]
    errors: list[RecordError]
    waited: str | None
    recommendation: msgspec.Raw


async def post_events(call: Call) -> Response:
    service, began = call.service, time.perf_counter()
    body = await read_records(call.request, service.settings.serve_max_body_bytes, service.turns)
    accepted, errors = await service.ingest.accept(body.records)
    if not accepted:
        raise all_rejected(errors, one=body.one)
    waited, ranking = None, b"null"
    if call.query.wait_ms:
        waited, ranking = await _wait(call, accepted[-1], call.query.wait_ms / 1000)
        service.telemetry.waits.labels(waited).inc()
        if waited == "fresh":
            service.telemetry.wait_seconds.observe(time.perf_counter() - began)
    answer = _Encoded(
        accepted=len(accepted),
        refused=len(errors),
        events=[AcceptedEvent(a.position, a.event.event_id, a.written.partition, a.written.offset) for a in accepted],
        errors=errors,
        waited=waited,
        recommendation=msgspec.Raw(ranking),
    )
    return Document(msgspec.json.encode(answer), 207 if errors else 202)


async def _wait(call: Call, last: Accepted, within_s: float) -> tuple[str, bytes]:
    """Wait for the ranking that the last event triggers.

    Returns how the wait ended, and the encoded ranking.
    """
    service, owner, written = call.service, event_key(last.event).decode(), last.written
    known = service.cache.all_of(owner)
    waited, fresh = "no_ranking", None
    if last.repeated or any(ranking.trigger_event_id == last.event.event_id for ranking in known):
        waited = "duplicate"
    if any(ranking.partition == written.partition and ranking.trigger_offset >= written.offset for ranking in known):
        waited = "fresh"
    elif waited != "duplicate" and last.triggers:
        fresh = await service.arrivals.after(owner, written.partition, written.offset, within_s)
        waited = "fresh" if fresh is not None else "timeout"
    if fresh is not None:
        return waited, await service.answers.from_ranking(fresh, owner)
    return waited, await service.answers.for_owner(owner, last.event.session_id)


OPERATIONS = [
    Operation(
        "POST", "/v1/events", post_events, "Send events", "Events",
        "Send one event, a JSON array of events, or one event per line (NDJSON), at most 500. Each is checked as a worker checks "
        "it. 202: all were accepted. 207: some were accepted, and `errors` has the others. 422: none was accepted. The answer "
        "comes when Kafka has confirmed the events. After a 503 the events may have been written nevertheless: send them again. "
        "An event with an `event_id` counts once.",
        scope="events", query=EventsQuery, body=Event, body_media=MEDIA, answers={202: EventsAnswer, 207: EventsAnswer},
        problems=(429,),
    ),
]  # fmt: skip
