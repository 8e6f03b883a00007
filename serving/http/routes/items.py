"""Reading and writing the catalogue."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from serving.http.bodies import MEDIA, media_type, read_body, read_records
from serving.http.documents import JSON, NO_STORE, Document
from serving.http.operations import Call, Operation
from serving.http.parameters import MAX_K, Id
from serving.http.problems import Problem, all_rejected
from serving.state.record_errors import RecordError, record_error
from serving.state.writer import NewRecord, Written
from streams.events.decode import BadRecord
from streams.events.items import MAX_ITEM_BYTES, decode_item, item_of
from streams.events.json_bytes import json_object
from streams.events.records import Item

MAX_LIMIT = 1000
TOO_LARGE = "larger than the items topic allows (max.message.bytes)"
READ_WITHIN_S = 0.5
"""How long a request that writes waits until this server has read the record."""
_encode = msgspec.json.Encoder().encode


class ItemsQuery(msgspec.Struct, frozen=True):
    """Which items to answer with."""

    category: Annotated[Id, Meta(description="Only items of this category.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many items to answer with, at most.")] = 100
    offset: Annotated[int, Meta(ge=0, le=100_000, description="Items to skip before them.")] = 0
    id: Annotated[
        list[Id],
        Meta(max_length=MAX_K, description="Only these items, hidden ones included; unknown ids are ignored. May be repeated."),
    ] = []


class Category(msgspec.Struct):
    """A category of the catalogue."""

    name: str
    items: Annotated[int, Meta(description="How many items it has, hidden ones included.")]


class Items(msgspec.Struct):
    """A part of the catalogue."""

    total: Annotated[int, Meta(description="How many items match, regardless of `limit` and `offset`.")]
    items: list[Item]
    categories: Annotated[list[Category], Meta(description="All categories of the catalogue.")]


class ItemsWritten(msgspec.Struct):
    """The outcome for each item of the request."""

    accepted: Annotated[int, Meta(description="Items that were written.")]
    refused: Annotated[int, Meta(description="Items that were rejected.")]
    errors: Annotated[list[RecordError], Meta(description="Why each rejected item was rejected.")]


async def get_items(call: Call) -> Response:
    shelves, query = call.service.shelves, call.query
    category = None if query.category is UNSET else query.category
    if query.id:
        within = shelves.ids() if category is None else shelves.category(category)
        known = [item for item in map(shelves.get, query.id) if item is not None and item.item_id in within]
        total, page = len(known), known[query.offset : query.offset + query.limit]
    else:
        hidden = call.service.answers.hidden()
        total = shelves.shown(hidden, category)
        page = list(islice(shelves.items(hidden, category), query.offset, query.offset + query.limit))
    answer = Items(total, page, [Category(name, count) for name, count in shelves.categories.items()])
    return Document(_encode(answer))


async def get_item(call: Call) -> Response:
    item = call.service.shelves.get(call.path["item_id"])
    if item is None:
        raise Problem("not-found", "the catalogue has no item with this id")
    return Document(_encode(item))


async def put_item(call: Call) -> Response:
    media_type(call.request, (JSON,))
    try:
        sent = await read_body(call.request, call.service.settings.serve_max_body_bytes)
        item = item_of(json_object(sent), call.path["item_id"])
        if item.item_id != call.path["item_id"]:
            raise BadRecord("out_of_bounds", "item_id differs from the id in the path: leave it out, or send the same")
        body = _value(item)
    except BadRecord as bad:
        raise all_rejected([record_error(0, bad, Item.__struct_fields__)], one=True) from None
    if await _write(call, [_record(call, item.item_id, body)]):
        raise Problem("too-large", TOO_LARGE)
    return Document(body)


async def delete_item(call: Call) -> Response:
    await _write(call, [_record(call, call.path["item_id"], None)])
    return Response(status_code=204, headers=NO_STORE)


async def post_items(call: Call) -> Response:
    service = call.service
    body = await read_records(call.request, service.settings.serve_max_body_bytes, service.turns)
    records, errors = dict[int, NewRecord](), list[RecordError]()
    for position, value in enumerate(body.records):
        await service.turns.pause_at(position)
        try:
            item = decode_item(value)
            records[position] = _record(call, item.item_id, _value(item))
        except BadRecord as bad:
            errors.append(record_error(position, bad, Item.__struct_fields__))
    too_large = await _write(call, [*records.values()]) if records else []
    errors += (RecordError(position, "too_large", detail=TOO_LARGE) for n, position in enumerate(records) if n in too_large)
    if len(errors) == len(body.records):
        raise all_rejected(errors, one=body.one)
    errors.sort(key=lambda error: error.position)
    answer = ItemsWritten(len(records) - len(too_large), len(errors), errors)
    return Document(_encode(answer), 207 if errors else 200)


def _record(call: Call, item_id: str, value: bytes | None) -> NewRecord:
    """Return a record that replaces the item's latest one: it has the same key."""
    service = call.service
    return NewRecord(service.settings.topic("items"), service.shelves.key(item_id), value)


def _value(item: Item) -> bytes:
    """Encode an item. Raises `BadRecord` if its record would be larger than workers accept."""
    value = _encode(item)
    if len(value) > MAX_ITEM_BYTES:
        raise BadRecord("too_large", f"the item has {len(value)} bytes, at most {MAX_ITEM_BYTES}")
    return value


async def _write(call: Call, records: list[NewRecord]) -> list[int]:
    """Write, and wait a moment until this server has read the records.

    The client's next request then sees them. Returns the places of the records that are larger than
    their topic allows, and were not written.
    """
    results = await call.service.writer.write(records)
    for result in results:
        if isinstance(result, Written):
            await call.service.wait_for_item(result, READ_WITHIN_S)
    return [place for place, result in enumerate(results) if not isinstance(result, Written)]


_EVENTUALLY = "The answer comes when Kafka has confirmed the write. Workers and other servers see the change moments later."
OPERATIONS = [
    Operation(
        "GET", "/v1/items", get_items, "Items of the catalogue", "Items", "Hidden items are included only if requested by id.",
        query=ItemsQuery, answers={200: Items},
    ),
    Operation(
        "POST", "/v1/items", post_items, "Write items", "Items",
        "Send one item, a JSON array of items, or one item per line (NDJSON), at most 500. Each replaces the item with its id. "
        "200: all were written. 207: some were written, and `errors` has the others. 422: none was written. " + _EVENTUALLY,
        scope="admin", body=Item, body_media=MEDIA, answers={200: ItemsWritten, 207: ItemsWritten},
    ),
    Operation(
        "GET", "/v1/items/{item_id}", get_item, "An item of the catalogue", "Items", answers={200: Item}, problems=(404,)
    ),
    Operation(
        "PUT", "/v1/items/{item_id}", put_item, "Write an item", "Items",
        "The body replaces the item. An item that is hidden or not available now appears in no ranking. " + _EVENTUALLY,
        scope="admin", body=Item, body_media=(JSON,), answers={200: Item},
    ),
    Operation(
        "DELETE", "/v1/items/{item_id}", delete_item, "Remove an item", "Items",
        "Removes the item from the catalogue. Rankings may still contain it: to prevent that, set `is_hidden`. " + _EVENTUALLY,
        scope="admin", answers={204: None},
    ),
]  # fmt: skip
