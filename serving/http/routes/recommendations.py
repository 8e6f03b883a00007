"""A user's ranking, once or as it changes."""

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


class RankingQuery(msgspec.Struct, frozen=True):
    """Which items, and how many."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="Items to answer with.")] = DEFAULT_K
    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET
    exclude: Annotated[list[Id], Meta(max_length=MAX_K, description="Items that are not wanted; may be repeated.")] = []
    exclude_seen: Annotated[bool, Meta(description="Leave out the items of the prefix.")] = False
    session_id: Annotated[Id, Meta(description="Of the user's sessions this one, if its ranking is kept.")] | UnsetType = UNSET


class StreamQuery(msgspec.Struct, frozen=True):
    """How many items."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="Items of each ranking.")] = DEFAULT_K


class Removed(msgspec.Struct):
    """The user was deleted; a ranking may come again if he does."""

    user_id: str


async def get_recommendations(call: Call) -> Response:
    service, query = call.service, call.query
    wanted = None
    if query.category is not UNSET or query.exclude:
        category = None if query.category is UNSET else service.shelves.category(query.category)
        wanted = Filter(query.k, service.shelves.hidden, frozenset(query.exclude), category)
    session_id = None if query.session_id is UNSET else query.session_id
    body = await service.answers.of(call.path["user_id"], session_id, query.k, wanted, seen=not query.exclude_seen)
    return Document(body)


async def stream_recommendations(call: Call) -> Response:
    service, owner = call.service, call.path["user_id"]
    if service.arrivals.of(owner) >= MOST_STREAMS_OF_ONE:
        raise Problem("too-many", f"{MOST_STREAMS_OF_ONE} streams of this user are open", headers={"retry-after": "5"})
    return StreamingResponse(_rankings(call, owner), headers=NO_STORE, media_type=EVENT_STREAM)


async def _rankings(call: Call, owner: str) -> AsyncIterator[bytes]:
    service, k = call.service, call.query.k
    had = call.request.headers.get("last-event-id")

    async def encode(ranking: CachedRanking | None) -> bytes:
        if ranking is None:
            return event("removed", msgspec.json.encode(Removed(owner)))
        found = await service.answers.by(ranking, owner, k)
        return event("ranking", found, ranking.event_id) if found is not None else b""

    with service.arrivals.stream(owner) as stream, service.telemetry.streams.labels("user").track_inprogress():
        current = service.cache.get(owner)
        if current is not None and current.event_id != had:
            stream.put(current)
        async for told in events(stream, encode, service.settings, call.still_admitted):
            yield told


OPERATIONS = [
    Operation(
        "GET", "/v1/recommendations/{user_id}", get_recommendations, "The ranking of a user or an anonymous session", "Rankings",
        "Never fewer than `k` items as long as the model or the catalogue has so many that pass: `fallback` names what filled up "
        "the published ranking, in order. Of an unknown user the answer is what is popular, and `strategy` says so.",
        query=RankingQuery, answers={200: RankingAnswer},
    ),
    Operation(
        "GET", "/v1/users/{user_id}/stream", stream_recommendations, "Each fresh ranking, as it is published", "Rankings",
        "Server-sent events: `ranking` with the same document, `removed` when the user was deleted, and comments as heartbeats. "
        "It begins with the current ranking, unless Last-Event-ID says that it was had. A slow client misses some in between.",
        query=StreamQuery, answers={200: str}, problems=(429,), media=EVENT_STREAM,
        events={"ranking": RankingAnswer, "removed": Removed},
    ),
]  # fmt: skip
