"""Operations: each is declared once, for its route and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.auth import admit, allows
from serving.http.documents import EVENT_STREAM, JSON, acceptable
from serving.http.parameters import NoQuery, path_parameter, read_query
from serving.http.problems import Problem
from serving.key_file import KeyScope
from serving.state.service import Service
from streams.http.protocol import STREAMED

ROUTE = "ouzel.route"
"""The key in an ASGI scope for the template of the route, which the metrics use as a label."""


@dataclass(slots=True)
class Call:
    """One request to an operation, with its parameters read and checked."""

    service: Service
    operation: Operation
    scope: Scope
    receive: Receive
    path: dict[str, str]
    query: Any

    @property
    def request(self) -> Request:
        """The headers and the body."""
        return Request(self.scope, self.receive)

    def still_admitted(self) -> bool:
        """Tell whether the key of the request still allows the operation.

        Streams call this between events.
        """
        authorization = self.request.headers.get("authorization", "").encode("latin-1")
        return allows(self.service.keys, authorization, self.operation.scope)


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `Resource` calls ``handler`` once per request, on the event loop, after it has checked the key,
    the Accept header and the parameters. The handler returns the response, or raises `Problem` or
    an error that the edge of the app knows how to answer.
    """

    method: str
    path: str
    """A template: names in braces are path parameters."""
    handler: Handler
    summary: str
    tag: str
    description: str = ""
    scope: KeyScope | None = "read"
    """The scope that a key must have; ``None`` if no key is needed."""
    query: type[msgspec.Struct] = NoQuery
    """The type of the query parameters."""
    answers: Mapping[int, Any] = field(default_factory=dict)
    """The type of the answer's document, by status."""
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
    """The type of the data in a stream's events, by the name of the server-sent event."""
    problems: Sequence[int] = ()
    """Statuses of the problems that it may answer with, besides those of every operation."""
    media: str = JSON
    """The media type of its answer."""
    body: type[msgspec.Struct] | None = None
    """The type of a record of the request's body."""
    body_media: Sequence[str] = ()
    """The media types that the body may have."""
    needs_topics: bool = True
    """Whether it answers 503 until this server has caught up with its topics."""

    @property
    def name(self) -> str:
        """The operationId of the OpenAPI document."""
        return self.handler.__name__


class Resource:
    """The ASGI app of one path: checks the request, then calls the operation of its method."""

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
            raise Problem("method-not-allowed", f"this path allows {self._allow}", headers={"allow": self._allow})
        accept = authorization = b""
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = accept + b"," + value if accept else value
            elif name == b"authorization":
                authorization = value
        service = self._service
        admit(service.keys, authorization, operation.scope, service.telemetry)
        if accept and not acceptable(accept, operation.media):
            raise Problem("not-acceptable", f"the answer is {operation.media}: accept it, or send no Accept header")
        if operation.needs_topics and not service.ready:
            raise Problem("not-ready", "retry later; /health/ready shows the progress", headers={"retry-after": "1"})
        path = {name: path_parameter(name, value) for name, value in scope["path_params"].items()}
        query = read_query(scope["query_string"], operation.query)
        if operation.media == EVENT_STREAM:
            _admit_stream(service)
            scope[STREAMED] = True
        response = await operation.handler(Call(service, operation, scope, receive, path, query))
        await response(scope, receive, send)


def _admit_stream(service: Service) -> None:
    most = service.settings.serve_max_streams
    if len(service.arrivals) >= most:
        raise Problem("busy", f"{len(service.arrivals)} streams are open, at most {most}", headers={"retry-after": "5"})
