"""A user's current ranking, and the stream of their new rankings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response, StreamingResponse

from serving.http.documents import EVENT_STREAM, NO_STORE, Document
from serving.http.operations import Call, Operation
from serving.http.parameters import MAX_K, Id
from serving.http.problems import Problem
from serving.http.sse import event, events
from serving.state.answers import DEFAULT_K, RankingAnswer
from serving.state.cache import CachedRanking
from serving.state.selection import Filter

MOST_STREAMS_OF_ONE = 8
"""Maximum number of streams of one user that are open at a time."""


class RankingQuery(msgspec.Struct, frozen=True):
    """Which items to answer with, and how many."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="How many items to answer with, at most.")] = DEFAULT_K
    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET
    exclude: Annotated[list[Id], Meta(max_length=MAX_K, description="Items to leave out. May be repeated.")] = []
    exclude_seen: Annotated[bool, Meta(description="Leave out the items of `prefix`.")] = False
    session_id: (
        Annotated[
            Id,
            Meta(description="Answer with the ranking of this session of the user, if there is one; otherwise with the latest."),
        ]
        | UnsetType
    ) = UNSET


class StreamQuery(msgspec.Struct, frozen=True):
    """How many items to send."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="How many items to send of each ranking, at most.")] = DEFAULT_K


class Removed(msgspec.Struct):
    """The user was deleted. New events with the same user id may lead to new rankings."""

    user_id: str


async def get_recommendations(call: Call) -> Response:
    service, query = call.service, call.query
    wanted = None
    if query.category is not UNSET or query.exclude:
        category = None if query.category is UNSET else service.shelves.category(query.category)
        wanted = Filter(query.k, service.answers.hidden(), frozenset(query.exclude), category)
    session_id = None if query.session_id is UNSET else query.session_id
    body = await service.answers.for_owner(call.path["user_id"], session_id, query.k, wanted, seen=not query.exclude_seen)
    return Document(body)


async def stream_recommendations(call: Call) -> Response:
    service, owner = call.service, call.path["user_id"]
    if service.arrivals.streams_of(owner) >= MOST_STREAMS_OF_ONE:
        detail = f"{MOST_STREAMS_OF_ONE} streams of this user are open, at most {MOST_STREAMS_OF_ONE}: close one"
        raise Problem("too-many", detail, headers={"retry-after": "5"})
    return StreamingResponse(_rankings(call, owner), headers=NO_STORE, media_type=EVENT_STREAM)


async def _rankings(call: Call, owner: str) -> AsyncIterator[bytes]:
    service, k = call.service, call.query.k
    last_received = call.request.headers.get("last-event-id")

    async def encode(ranking: CachedRanking | None) -> bytes:
        if ranking is None:
            return event("removed", msgspec.json.encode(Removed(owner)))
        answer = await service.answers.from_ranking(ranking, owner, k)
        return event("ranking", answer, ranking.event_id)

    with service.arrivals.stream(owner) as stream, service.telemetry.streams.labels("user").track_inprogress():
        current = service.cache.get(owner)
        if current is not None and current.event_id != last_received:
            stream.put(current)
        async for sent in events(stream, encode, service.settings, call.still_admitted):
            yield sent


OPERATIONS = [
    Operation(
        "GET", "/v1/recommendations/{user_id}", get_recommendations, "The ranking of a user or an anonymous session", "Rankings",
        "The answer has `k` items unless the model and the catalogue together have fewer that pass the filters. If the published "
        "ranking has too few, fallbacks add items after it, and `fallback` names them. An unknown user gets popular items, and "
        "`strategy` is `popularity`.",
        query=RankingQuery, answers={200: RankingAnswer},
    ),
    Operation(
        "GET", "/v1/users/{user_id}/stream", stream_recommendations, "The rankings of a user, as they are published", "Rankings",
        "Server-sent events: `ranking` for each new ranking, `removed` when the user is deleted. Comments are heartbeats. The "
        "stream begins with the current ranking, unless Last-Event-ID is its id. A slow client may miss rankings, but never the "
        "newest.",
        query=StreamQuery, answers={200: str}, problems=(429,), media=EVENT_STREAM,
        events={"ranking": RankingAnswer, "removed": Removed},
    ),
]  # fmt: skip
