"""A user's ranking."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.responses import Response

from serving.operations import JSON, Call, Operation

MAX_K = 200
DEFAULT_K = 20


class RankingQuery(msgspec.Struct):
    """How many, and which."""

    k: Annotated[int, msgspec.Meta(ge=1, le=MAX_K, description="Items to answer with.")] = DEFAULT_K


async def recommendations(call: Call) -> Response:
    cache = call.service.cache
    ranking = cache.get(call.path["user_id"]) or cache.popular
    return Response(b"{}" if ranking is None else ranking.value, media_type=JSON)


OPERATIONS = [
    Operation(
        "GET", "/v1/recommendations/{user_id}", recommendations, "The ranking of a user or an anonymous session", "Rankings",
        query=RankingQuery, answers={200: dict},
    ),
]  # fmt: skip
