"""Similar and popular items, from the experts' counts."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from models.panel import EXPERTS, HALF_LIFE
from models.recommender import POPULAR
from serving.http.documents import Document
from serving.http.operations import Call, Operation
from serving.http.parameters import MAX_K, Id
from serving.http.problems import Problem
from serving.state.answers import DEFAULT_K
from serving.state.selection import Filter, popular, select
from streams.events.records import RankedItem, ranked_items


class SimilarQuery(msgspec.Struct, frozen=True):
    """Which items to answer with, and how many."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="How many items to answer with, at most.")] = DEFAULT_K
    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET


class PopularQuery(msgspec.Struct, frozen=True):
    """Which items to answer with, how many, and how fast interactions lose weight."""

    k: Annotated[int, Meta(ge=1, le=MAX_K, description="How many items to answer with, at most.")] = DEFAULT_K
    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET
    half_life: Annotated[
        Literal[500, 2000, 20000],
        Meta(description="After this many events an interaction counts half: 500 shows trends, 20000 lasting favourites."),
    ] = HALF_LIFE  # type: ignore[assignment]


class ItemRanking(msgspec.Struct):
    """Ranked items that do not depend on a user."""

    strategy: Annotated[str, Meta(description="What ranked the items: `experts` or `popularity`.")]
    fallback: Annotated[
        list[str],
        Meta(description="What added items after those of the strategy, in order: `popularity`, `catalogue`."),
    ]
    items: Annotated[list[RankedItem], Meta(description="The items, best first.")]


async def get_similar(call: Call) -> Response:
    service, item_id = call.service, call.path["item_id"]
    if service.shelves.get(item_id) is None and not await service.experts.ask(lambda panel: panel.knows(item_id)):
        raise Problem("not-found", "neither the catalogue nor the model knows this item: check its id")
    wanted = _wanted(call, frozenset((item_id,)))
    selected = await select([], [item_id], wanted, service.experts, service.shelves)
    return _answer(EXPERTS, selected.fallback, selected.items)


async def get_popular(call: Call) -> Response:
    service = call.service
    wanted = _wanted(call, frozenset())
    ranking = await service.experts.ask(popular(wanted, call.query.half_life))
    selected = await select(ranked_items(ranking), [], wanted, service.experts, service.shelves)
    return _answer(POPULAR, selected.fallback, selected.items)


def _wanted(call: Call, excluded: frozenset[str]) -> Filter:
    category, service = call.query.category, call.service
    allowed = None if category is UNSET else service.shelves.category(category)
    return Filter(call.query.k, service.answers.hidden(), excluded, allowed)


def _answer(strategy: str, fallback: list[str], items: list[RankedItem]) -> Response:
    """Encode the answer. If a fallback is the strategy itself, it is left out of ``fallback``."""
    answer = ItemRanking(strategy, [name for name in fallback if name != strategy], items)
    return Document(msgspec.json.encode(answer))


OPERATIONS = [
    Operation(
        "GET", "/v1/items/{item_id}/similar", get_similar, "Items that go with an item", "Rankings",
        "The experts rank the items that users acted on before, after and together with it.",
        query=SimilarQuery, answers={200: ItemRanking}, problems=(404,),
    ),
    Operation(
        "GET", "/v1/popular", get_popular, "Popular items", "Rankings",
        "Every interaction counts, and loses half of its weight after `half_life` further events.",
        query=PopularQuery, answers={200: ItemRanking},
    ),
]  # fmt: skip
