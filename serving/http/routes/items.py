"""The catalogue: what it holds, and writing to it."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from serving.http.bodies import MEDIA, media_type, read_body, split
from serving.http.documents import JSON, NO_STORE, Document
from serving.http.operations import Call, Operation
from serving.http.parameters import MAX_K, Id
from serving.http.problems import Problem, RecordError
from serving.state.ingest import record_error, refused
from serving.state.writer import NewRecord, Placed
from streams.events.catalogue import decode_item, item_of
from streams.events.decode import BadRecord, json_object
from streams.events.records import Item

MAX_LIMIT = 1000
TAKEN_WITHIN_S = 0.5
_encode = msgspec.json.Encoder().encode


class ItemsQuery(msgspec.Struct, frozen=True):
    """Which items."""

    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Items to answer with.")] = 100
    offset: Annotated[int, Meta(ge=0, le=100_000, description="Items to leave out before them.")] = 0
    id: Annotated[list[Id], Meta(max_length=MAX_K, description="These items, those known; may be repeated.")] = []


class Category(msgspec.Struct):
    """A category, and how many items it has."""

    name: str
    items: int


class Items(msgspec.Struct):
    """``total`` counts what the query asks for, without its limit; ``categories`` are those of the whole catalogue."""

    total: int
    items: list[Item]
    categories: list[Category]


class ItemsWritten(msgspec.Struct):
    """How many items of a body were written; ``errors`` tells of the others."""

    accepted: int
    refused: int
    errors: list[RecordError]


async def get_items(call: Call) -> Response:
    shelves, query = call.service.shelves, call.query
    category = None if query.category is UNSET else query.category
    if query.id:
        within = shelves.ids() if category is None else shelves.category(category)
        found = [item for item in map(shelves.get, query.id) if item is not None and item.item_id in within]
        total, page = len(found), found[query.offset : query.offset + query.limit]
    else:
        total = shelves.shown(category)
        page = list(islice(shelves.items(category), query.offset, query.offset + query.limit))
    answer = Items(total, page, [Category(name, count) for name, count in shelves.categories.items()])
    return Document(_encode(answer))


async def get_item(call: Call) -> Response:
    item = call.service.shelves.get(call.path["item_id"])
    if item is None:
        raise Problem("not-found", "the catalogue has no such item")
    return Document(_encode(item))


async def put_item(call: Call) -> Response:
    media_type(call.request, (JSON,))
    try:
        fields = json_object(await _body(call))
        if fields.setdefault("item_id", call.path["item_id"]) != call.path["item_id"]:
            raise BadRecord("out_of_bounds", "item_id is not the one of the path")
        item = item_of(fields)
    except BadRecord as bad:
        raise refused([record_error(0, bad, Item.__struct_fields__)], one=True) from None
    body = _encode(item)
    await _write(call, [NewRecord(call.service.settings.topic("items"), item.item_id.encode(), body)])
    return Document(body)


async def delete_item(call: Call) -> Response:
    await _write(call, [NewRecord(call.service.settings.topic("items"), call.path["item_id"].encode(), None)])
    return Response(status_code=204, headers=NO_STORE)


async def post_items(call: Call) -> Response:
    media = media_type(call.request, MEDIA)
    body = split(await _body(call), media)
    topic, records, errors = call.service.settings.topic("items"), list[NewRecord](), list[RecordError]()
    for position, value in enumerate(body.records):
        try:
            item = decode_item(value)
        except BadRecord as bad:
            errors.append(record_error(position, bad, Item.__struct_fields__))
        else:
            records.append(NewRecord(topic, item.item_id.encode(), _encode(item)))
    if not records:
        raise refused(errors, one=body.one)
    await _write(call, records)
    answer = ItemsWritten(len(records), len(errors), errors)
    return Document(_encode(answer), 207 if errors else 200)


async def _body(call: Call) -> bytes:
    settings = call.service.settings
    return await read_body(call.request, settings.serve_max_body_bytes, settings.serve_client_timeout_s)


async def _write(call: Call, records: list[NewRecord]) -> None:
    """Write, and wait a moment until this copy has read it, so that who asks it next finds what he wrote."""
    placed = await call.service.writer.write(records)
    for where in placed:
        if isinstance(where, Placed):
            await call.service.item_taken(where, TAKEN_WITHIN_S)


_EVENTUALLY = "Confirmed by Kafka; the workers and other copies follow within moments."
OPERATIONS = [
    Operation(
        "GET", "/v1/items", get_items, "Items of the catalogue", "Items", "Hidden items are told only if asked for by id.",
        query=ItemsQuery, answers={200: Items},
    ),
    Operation(
        "POST", "/v1/items", post_items, "Write items", "Items",
        "One item, a JSON array, or one a line (NDJSON), at most 500; each replaces what there was under its id. " + _EVENTUALLY,
        scope="admin", body=Item, body_media=MEDIA, answers={200: ItemsWritten, 207: ItemsWritten},
    ),
    Operation(
        "GET", "/v1/items/{item_id}", get_item, "An item of the catalogue", "Items", answers={200: Item}, problems=(404,)
    ),
    Operation(
        "PUT", "/v1/items/{item_id}", put_item, "Write an item", "Items",
        "It replaces what there was. An item that `is_hidden` is in no ranking any more. " + _EVENTUALLY,
        scope="admin", body=Item, body_media=(JSON,), answers={200: Item},
    ),
    Operation(
        "DELETE", "/v1/items/{item_id}", delete_item, "Remove an item", "Items",
        "Removes what is known of it. It may still be ranked: to end that, hide it. " + _EVENTUALLY,
        scope="admin", answers={204: None},
    ),
]  # fmt: skip
