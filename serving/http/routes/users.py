"""What is known of a user, and his deletion."""

from __future__ import annotations

import time

import msgspec
from starlette.responses import Response

from serving.http.documents import Document
from serving.http.operations import Call, Operation
from serving.http.problems import Problem
from serving.state.writer import NewRecord, Placed
from streams.errors import BadData
from streams.events.records import Recommendation
from streams.kafka.decoding import decoded


class KnownSession(msgspec.Struct, kw_only=True):
    """A session as the model saw it at its last ranking. ``items`` were published then; times are epoch ms."""

    session_id: str | None
    prefix: list[str]
    partition: int
    trigger_offset: int
    trigger_event_id: str
    recommendation_id: str
    strategy: str
    model_version: int
    generated_at: int
    age_ms: int
    items: int


class User(msgspec.Struct):
    """A user's sessions, the latest first."""

    user_id: str
    sessions: list[KnownSession]


class UserDeletion(msgspec.Struct):
    """On how many partitions of the events the deletion is."""

    user_id: str
    partitions: int


_decode = msgspec.json.Decoder(Recommendation).decode


async def get_user(call: Call) -> Response:
    owner, now_ms = call.path["user_id"], int(time.time() * 1000)
    sessions = []
    for held in call.service.cache.all_of(owner):
        try:
            told = decoded(_decode, held.value)
        except BadData:
            continue  # its head was read, and no more of it can be
        sessions.append(
            KnownSession(
                session_id=told.session_id,
                prefix=told.prefix,
                partition=held.partition,
                trigger_offset=told.trigger_offset,
                trigger_event_id=told.trigger_event_id,
                recommendation_id=told.recommendation_id,
                strategy=told.strategy,
                model_version=told.model_version,
                generated_at=told.generated_at,
                age_ms=max(now_ms - told.generated_at, 0),
                items=len(told.items),
            )
        )
    if not sessions:
        raise Problem("not-found", "nothing is known of this user")
    return Document(msgspec.json.encode(User(owner, sessions)))


async def delete_user(call: Call) -> Response:
    service, owner = call.service, call.path["user_id"]
    events, partitions = service.settings.topic("events"), service.settings.partitions
    placed = await service.writer.write([NewRecord(events, owner.encode(), None, number) for number in range(partitions)])
    offsets = {where.partition: where.offset for where in placed if isinstance(where, Placed)}
    service.cache.forget(owner, offsets)
    service.ingest.forget(owner)
    service.arrivals.removed(owner)
    return Document(msgspec.json.encode(UserDeletion(owner, partitions)), 202)


OPERATIONS = [
    Operation(
        "GET", "/v1/users/{user_id}", get_user, "What is known of a user", "Users",
        "The service owns no sessions, so this is what the latest rankings tell of them: the last ten items of each.",
        answers={200: User}, problems=(404,),
    ),
    Operation(
        "DELETE", "/v1/users/{user_id}", delete_user, "Delete a user", "Users",
        "The deletion is confirmed on every partition of the events, and his ranking is gone here. The workers then remove his "
        "sessions and rankings, and events of before do not bring him back.",
        scope="admin", answers={202: UserDeletion},
    ),
]  # fmt: skip
