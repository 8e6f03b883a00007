"""What Ouzel knows about a user, and the deletion of a user."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from serving.http.documents import Document
from serving.http.operations import Call, Operation
from serving.http.problems import Problem
from serving.state.writer import NewRecord, Written
from streams.errors import BadData
from streams.events.decode import CANONICAL
from streams.events.records import Recommendation
from streams.kafka.decoding import decoded


class KnownSession(msgspec.Struct, kw_only=True):
    """A session, as the model saw it for its latest ranking."""

    session_id: Annotated[str | None, Meta(description="The session id of its events; null if they had none.")]
    prefix: Annotated[list[str], Meta(description="The latest items of the session, oldest first; at most 10.")]
    partition: Annotated[int, Meta(description="The partition of its events.")]
    trigger_offset: Annotated[int, Meta(description="Offset of the event that triggered the ranking.")]
    trigger_event_id: Annotated[str, Meta(description="The event that triggered the ranking.")]
    recommendation_id: str
    strategy: Annotated[str, Meta(description="The model that ranked the items.")]
    model_version: Annotated[int, Meta(description="Learning steps of the model that ranked.")]
    generated_at: Annotated[int, Meta(description="When the ranking was made, epoch ms.")]
    age_ms: Annotated[int, Meta(description="How long ago the ranking was made.")]
    items: Annotated[int, Meta(description="How many items the ranking has.")]


class User(msgspec.Struct):
    """A user's sessions, as their latest rankings show them."""

    user_id: str
    sessions: Annotated[list[KnownSession], Meta(description="The sessions with a ranking, latest first.")]


class UserDeletion(msgspec.Struct):
    """The deletion of a user, confirmed by Kafka."""

    user_id: str
    partitions: Annotated[int, Meta(description="Partitions of the events topic. The deletion was written to each.")]


_decode = msgspec.json.Decoder(Recommendation).decode


async def get_user(call: Call) -> Response:
    owner, now_ms = call.path["user_id"], int(time.time() * 1000)
    sessions = []
    for ranking in call.service.cache.all_of(owner):
        try:
            published = decoded(_decode, ranking.value)
        except BadData:
            continue  # the cache has checked only a few fields
        sessions.append(
            KnownSession(
                session_id=published.session_id,
                prefix=published.prefix,
                partition=ranking.partition,
                trigger_offset=published.trigger_offset,
                trigger_event_id=published.trigger_event_id,
                recommendation_id=published.recommendation_id,
                strategy=published.strategy,
                model_version=published.model_version,
                generated_at=published.generated_at,
                age_ms=max(now_ms - published.generated_at, 0),
                items=len(published.items),
            )
        )
    if not sessions:
        raise Problem("not-found", "no ranking of this user is known")
    return Document(msgspec.json.encode(User(owner, sessions)))


async def delete_user(call: Call) -> Response:
    service, owner = call.service, call.path["user_id"]
    events, partitions = service.settings.topic("events"), service.settings.partitions
    deletions = [NewRecord(events, owner.encode(), None, number, (CANONICAL,)) for number in range(partitions)]
    results = await service.writer.write(deletions)
    offsets = {result.partition: result.offset for result in results if isinstance(result, Written)}
    service.cache.forget(owner, offsets)
    service.ingest.forget(owner)
    service.arrivals.removed(owner)
    return Document(msgspec.json.encode(UserDeletion(owner, partitions)), 202)


OPERATIONS = [
    Operation(
        "GET", "/v1/users/{user_id}", get_user, "What Ouzel knows about a user", "Users",
        "The server stores no sessions. The answer shows what the latest rankings contain: the last ten items of each session.",
        answers={200: User}, problems=(404,),
    ),
    Operation(
        "DELETE", "/v1/users/{user_id}", delete_user, "Delete a user", "Users",
        "The answer comes when Kafka has confirmed the deletion on every partition of the events topic. From then on, this "
        "server returns no ranking of the user. The workers remove the user's sessions and rankings, and ignore earlier events.",
        scope="admin", answers={202: UserDeletion},
    ),
]  # fmt: skip
