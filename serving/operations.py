"""What the API can do, declared once: routes and the OpenAPI document are both made of these."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.problems import Problem
from streams.bounds import MAX_ID_LENGTH, BadRecord, check_id, check_owner

if TYPE_CHECKING:
    from serving.service import Service

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
MAX_FIELDS = 300
MAX_K = 200
NO_STORE = {"cache-control": "no-store"}
_JSON_HEADERS = [(b"content-type", JSON.encode()), (b"cache-control", b"no-store")]
ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=ID_PATTERN)]
"""An identifier: what `streams.bounds.check_id` lets through."""
ROUTE = "ouzel.route"
"""The key in an ASGI scope under which the template of the route is told."""
STREAMED = "ouzel.streamed"
"""And the one of an answer that lasts, so that its duration is no latency."""
_AT = re.compile(r" - at `\$\.?(\w*)")
_OWNERS = frozenset({"user_id"})


class NoQuery(msgspec.Struct):
    """An operation without parameters in its query."""


class Document(Response):
    """A JSON document, of now: no cache may keep it."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *_JSON_HEADERS]


@dataclass(slots=True)
class Call:
    """One request, with its parameters read and checked."""

    service: Service
    operation: Operation
    scope: Scope
    receive: Receive
    path: dict[str, str]
    query: Any

    @property
    def request(self) -> Request:
        """Its headers and its body."""
        return Request(self.scope, self.receive)

    def still_admitted(self) -> bool:
        """Whether its key allows it even now: for what lasts."""
        return self.service.keys.allows(self.request.headers.get("authorization", "").encode("latin-1"), self.operation.scope)


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One method of one path. ``answers`` are the types of its documents by status, beside those that every one may give.

    ``scope`` is the one that a key must have, ``None`` where none is needed; ``media`` what it answers with; ``body`` and
    ``body_media`` what it takes. One that ``needs_topics`` answers 503 until this copy has caught up.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    description: str = ""
    scope: str | None = "read"
    query: type[msgspec.Struct] = NoQuery
    answers: Mapping[int, Any] = field(default_factory=dict)
    problems: Sequence[int] = ()
    media: str = JSON
    body: Any = None
    body_media: Sequence[str] = ()
    needs_topics: bool = True

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handler.__name__


class Resource:
    """An ASGI app of one path: admits the request, reads its parameters, and answers by the method's operation."""

    def __init__(self, service: Service, operations: Sequence[Operation]) -> None:
        self._service = service
        self._template = operations[0].path
        self._operations = {operation.method: operation for operation in operations}
        if "GET" in self._operations and self._operations["GET"].media != EVENT_STREAM:
            self._operations["HEAD"] = self._operations["GET"]
        self._allow = ", ".join(sorted(self._operations))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._template
        operation = self._operations.get(scope["method"])
        if operation is None:
            raise Problem("method-not-allowed", headers={"allow": self._allow})
        accept = authorization = b""
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = accept + b"," + value if accept else value
            elif name == b"authorization":
                authorization = value
        service = self._service
        service.keys.admit(authorization, operation.scope)
        if accept and not acceptable(accept, operation.media):
            raise Problem("not-acceptable", f"this answers with {operation.media}")
        if operation.needs_topics and not service.ready:
            raise Problem("not-ready", headers={"retry-after": "1"})
        path = {name: _path_parameter(name, value) for name, value in scope["path_params"].items()}
        query = read_query(scope["query_string"], operation.query)
        if operation.media == EVENT_STREAM:
            _admit_stream(service)
            scope[STREAMED] = True
        response = await operation.handler(Call(service, operation, scope, receive, path, query))
        await response(scope, receive, send)


def _admit_stream(service: Service) -> None:
    if len(service.arrivals) >= service.settings.serve_max_streams:
        raise Problem("busy", f"{len(service.arrivals)} streams are open", headers={"retry-after": "5"})


@lru_cache(maxsize=256)
def acceptable(accept: bytes, media: str) -> bool:
    """Whether an Accept header allows this media type: by the most specific range that matches (RFC 9110, 12.5.1)."""
    kind, best = media.encode().partition(b"/")[0], (-1, 0.0)
    for part in accept.lower().split(b","):
        range_, *parameters = (text.strip() for text in part.split(b";"))
        rank = {media.encode(): 2, kind + b"/*": 1, b"*/*": 0}.get(range_, -1)
        best = max(best, (rank, _quality(parameters))) if rank >= 0 else best
    return best[1] > 0


def _quality(parameters: Sequence[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _path_parameter(name: str, raw: str) -> str:
    """An id from a path, which comes percent-encoded: an id may hold a slash."""
    try:
        value = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Problem("invalid-parameter", "not UTF-8", field=name) from None
    try:
        return check_owner(name, value) if name in _OWNERS else check_id(name, value)
    except BadRecord as bad:
        raise Problem("invalid-parameter", bad.detail, field=name) from None


def read_query(raw: bytes, kind: type[msgspec.Struct]) -> Any:
    """The parameters of a query string. Raises `Problem` on one that is unknown, given twice, or out of bounds."""
    if not raw:
        return kind()
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem("malformed", f"the query: {error}") from None
    found: dict[str, Any] = {}
    lists = _lists(kind)
    for name, value in pairs:
        if name not in kind.__struct_fields__:
            raise Problem("invalid-parameter", "no such parameter", field=name[:100])
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem("invalid-parameter", "given more than once", field=name)
        else:
            found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _AT.search(text)
        raise Problem("invalid-parameter", text[: at.start()] if at else text, field=at[1] if at else None) from None


@lru_cache(maxsize=64)
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may be repeated."""
    told = {one.name: msgspec.inspect.type_info(one.type) for one in msgspec.structs.fields(kind)}
    inner = {name: type_.type if isinstance(type_, msgspec.inspect.Metadata) else type_ for name, type_ in told.items()}
    return frozenset(name for name, type_ in inner.items() if isinstance(type_, msgspec.inspect.ListType))
