"""What the API can do, declared once: routes and the OpenAPI document are both made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.documents import EVENT_STREAM, JSON, acceptable
from serving.http.parameters import NoQuery, path_parameter, read_query
from serving.http.problems import Problem

if TYPE_CHECKING:
    from serving.state.service import Service

ROUTE = "ouzel.route"
"""The key in an ASGI scope under which the template of the route is told."""
STREAMED = "ouzel.streamed"
"""And the one of an answer that lasts, so that its duration is no latency."""


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
    ``body_media`` what it takes; ``events`` are a stream's documents by the events' names. One that ``needs_topics`` answers 503
    until this copy has caught up.
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
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
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
        path = {name: path_parameter(name, value) for name, value in scope["path_params"].items()}
        query = read_query(scope["query_string"], operation.query)
        if operation.media == EVENT_STREAM:
            _admit_stream(service)
            scope[STREAMED] = True
        response = await operation.handler(Call(service, operation, scope, receive, path, query))
        await response(scope, receive, send)


def _admit_stream(service: Service) -> None:
    if len(service.arrivals) >= service.settings.serve_max_streams:
        raise Problem("busy", f"{len(service.arrivals)} streams are open", headers={"retry-after": "5"})
