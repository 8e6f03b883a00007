"""Makes the OpenAPI 3.1 document from the operations and from the types that they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from serving.http.bodies import MOST_RECORDS
from serving.http.documents import EVENT_STREAM, JSON, NDJSON
from serving.http.operations import Operation
from serving.http.parameters import Id, NoQuery
from serving.http.problems import KINDS, ProblemDetails
from streams.events.bounds import MAX_ID_BYTES, RESERVED_ID
from streams.events.records import Event, Item
from streams.events.schemas import BYTES, sent_schema
from streams.http.refusals import PROBLEM_JSON

REF = "#/components/schemas/{name}"
SENT = {Event: "event", Item: "item"}
ALWAYS = (400, 403, 406, 414, 422, 431)
WITH_A_KEY = (401,)
WITH_A_BODY = (408, 413, 415)
TAGS = {
    "Rankings": "Items to recommend to a user, beside an item, or to anyone.",
    "Events": "What users do. Every event may change their ranking.",
    "Users": "What Ouzel knows about a user, and the deletion of a user.",
    "Items": "The catalogue: names, categories, prices, and which items are hidden.",
    "Live": "Figures of the system and a sample of rankings, for the live page.",
    "Health": "For orchestrators and Prometheus.",
    "Pages": "For browsers.",
}
DESCRIPTION = (
    "An id is a text of 1 to 256 bytes of UTF-8 without control characters; percent-encode it in a path. Times are milliseconds "
    "since 1970 (epoch ms) unless a name says otherwise. Errors are problem details (RFC 9457), as `application/problem+json`."
)
_IN_PATH = {"user_id": "The id of a user, or of an anonymous session.", "item_id": "The id of an item."}
_IN_BYTES = {"description": BYTES.format(most=MAX_ID_BYTES)}
_TEXT = {"type": "string"}
_RETRY = {"retry-after": {"description": "Seconds to wait before a retry.", "schema": {"type": "integer", "minimum": 0}}}
_HEADERS = {
    401: {"www-authenticate": {"description": "The authentication scheme: Bearer.", "schema": _TEXT}},
    429: _RETRY,
    503: _RETRY,
}


def document(operations: Sequence[Operation], *, keys_required: bool) -> dict[str, Any]:
    """Return the document. ``keys_required`` says whether requests need a key."""
    types: dict[str, Any] = {}
    for operation in operations:
        types |= {_name(kind): kind for kind in (*operation.answers.values(), *operation.events.values()) if _is_struct(kind)}
    schemas = msgspec.json.schema_components([ProblemDetails, *types.values()], ref_template=REF)[1]
    for kind, sent in SENT.items():
        schemas[f"{kind.__name__}Sent"] = sent_schema(sent)
    schemas["ItemFields"] = _without_id(sent_schema("item"))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, keys_required=keys_required)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ouzel",
            "version": version("ouzel"),
            "summary": "Recommendations that change with every click.",
            "description": DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": TAGS[name]} for name in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key that `ouzel keys create` made."}
            },
        },
    }


def _operation(operation: Operation, *, keys_required: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation.query), *_header_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.scope is not None:
        described["security"] = [{"key": [operation.scope]}, *([] if keys_required else [{}])]
    if operation.body is not None:
        content = {media: _body(operation, media) for media in operation.body_media}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in operation.answers.items():
        responses[str(status)] = {"description": _success(operation, kind)}
        if kind is not None:
            schema = _stream(operation.events) if operation.events else _answer(kind)
            responses[str(status)]["content"] = {operation.media: {"schema": schema}}
    statuses = {*ALWAYS, *operation.problems}
    statuses |= set(WITH_A_KEY) if operation.scope is not None else set()
    statuses |= set(WITH_A_BODY) if operation.body is not None else set()
    statuses |= {503} if operation.needs_topics else set()
    for status in sorted(statuses - set(operation.answers)):
        titles = [kind.title for name, kind in KINDS.items() if kind.status == status and _applies(name, operation)]
        responses[str(status)] = {
            "description": " / ".join(titles),
            "content": {PROBLEM_JSON: {"schema": {"$ref": REF.format(name=ProblemDetails.__name__)}}},
        } | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
    return responses


def _success(operation: Operation, kind: Any) -> str:
    if kind is None:
        return "Done. The answer has no body."
    return "A stream of server-sent events." if operation.events else _doc(kind) or f"The document, as {operation.media}."


def _applies(problem: str, operation: Operation) -> bool:
    """Tell whether an operation may answer with this kind of problem."""
    if problem == "kafka-away":
        return operation.method != "GET"
    if problem == "invalid-record":
        return operation.body is not None
    return problem not in ("forbidden", "keys-unavailable") or operation.scope is not None


def _answer(kind: Any) -> dict[str, Any]:
    if _is_struct(kind):
        return {"$ref": REF.format(name=_name(kind))}
    return _TEXT if kind is str else {"type": "object"}


def _stream(events: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one event of a stream.

    An event without data only sets the time after which a client reconnects.
    """
    retry = {"title": "retry", "type": "object", "properties": {"retry": {"type": "integer"}}, "not": {"required": ["data"]}}
    return {"anyOf": [*(_event(name, kind) for name, kind in events.items()), retry]}


def _event(name: str, kind: Any) -> dict[str, Any]:
    data = _TEXT | {"contentMediaType": JSON, "contentSchema": _answer(kind)}
    return {"type": "object", "required": ["event", "data"], "properties": {"event": {"const": name}, "id": _TEXT, "data": data}}


def _body(operation: Operation, media: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": REF.format(name=f"{_name(operation.body)}Sent")}
    if NDJSON not in operation.body_media:
        return {"schema": {"$ref": REF.format(name="ItemFields")}}
    if media == NDJSON:
        return {"schema": _TEXT | {"description": f"One record per line, at most {MOST_RECORDS}."}}
    return {"schema": {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1, "maxItems": MOST_RECORDS}]}}


def _without_id(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an item whose id is in the path. The body may contain the same id."""
    properties = {name: schema for name, schema in item["properties"].items() if name != "item_id"}
    return {"title": "ItemFields", "description": item["description"], "type": "object", "properties": properties}


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    id_ = msgspec.json.schema(Id) | _IN_BYTES
    schemas = {"user_id": id_ | {"not": {"const": RESERVED_ID}}, "item_id": id_}
    return [
        {"name": name, "in": "path", "required": True, "description": _IN_PATH[name], "schema": schemas[name]} for name in names
    ]


def _query_parameters(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    if kind is NoQuery:
        return []
    (described,) = msgspec.json.schema_components([kind], ref_template=REF)[1].values()
    parameters = []
    for name, schema in described["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in described.get("required", ())}
        if description := schema.pop("description", None):
            parameter["description"] = description
        for one in (schema, schema.get("items", {})):
            if one.get("type") == "string":
                one.update(_IN_BYTES)
        parameters.append(parameter | {"schema": schema})
    return parameters


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.media != EVENT_STREAM:
        return []
    description = "The id of the last event that the client received; browsers send it when they reconnect."
    return [{"name": "Last-Event-ID", "in": "header", "required": False, "schema": _TEXT, "description": description}]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _name(kind: Any) -> str:
    return str(kind.__name__)


def _doc(kind: Any) -> str:
    return " ".join((kind.__doc__ or "").split()) if _is_struct(kind) else ""
