"""The outermost layer of the app: the checks, errors and counts that all requests share."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

import structlog
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.loopback import is_loopback
from serving.http.operations import ROUTE
from serving.http.problems import Problem
from serving.state.telemetry import ServingTelemetry
from serving.state.writer import NotConfirmed, TooManyPending
from streams.errors import OuzelError
from streams.http.protocol import STREAMED

log = structlog.get_logger(__name__)

MAX_PATH_BYTES = 2_048
"""Two ids of 256 bytes, each of them percent-encoded, have room."""
MAX_QUERY_BYTES = 8_192
STATUS = "ouzel.status"
"""The key in an ASGI scope for the status of the answer, once that has begun."""
_FOREIGN_HOST = "call the server as localhost, 127.0.0.1 or [::1], or let its operator set API keys (OUZEL_SERVE_KEYS)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})

PROBLEM_OF: Mapping[type[OuzelError], tuple[str, int]] = {
    TooManyPending: ("too-many", 1),
    NotConfirmed: ("kafka-away", 2),
}
"""For each error of `serving.state`: the kind of problem, and Retry-After in seconds."""
_OF_STARLETTE = {404: "not-found", 405: "method-not-allowed"}
"""The kinds of problems for the statuses that starlette's static files raise."""


class Edge:
    """Checks each request's size and host, turns errors into problem details, and counts requests.

    Without API keys (``check_host``), a request must name this machine's loopback in its Host
    header. Otherwise a web site could let its own name resolve to loopback, and its pages could
    call the API. Pages of the ``origins`` may call the API from a browser. The host is checked
    before a preflight is answered; every other answer has the headers that let the pages read it.
    """

    def __init__(self, app: ASGIApp, telemetry: ServingTelemetry, *, check_host: bool, origins: Sequence[str] = ()) -> None:
        self._app, self._telemetry, self._check_host = app, telemetry, check_host
        self._within: ASGIApp = self._answer if not origins else _with_cors(self._answer, origins)
        self._in_flight = 0
        telemetry.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[STATUS] = message["status"]
            await send(message)

        self._in_flight += 1
        try:
            if self._check_host and not is_loopback_name(scope["headers"]):
                self._telemetry.auth_refusals.labels("host").inc()
                await Problem("foreign-host", _FOREIGN_HOST).response()(scope, receive, watched)
            else:
                await self._within(scope, receive, watched)
        finally:
            self._in_flight -= 1
            self._count(scope, scope.get(STATUS, 500), time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check_length(scope)
            # Routes match the path as it was sent: an id may contain a percent-encoded slash.
            scope["path"] = scope["raw_path"].decode("ascii")
            await self._app(scope, receive, send)
        except Problem as problem:
            await problem.response()(scope, receive, send)
        except HTTPException as refused:
            kind = _OF_STARLETTE.get(refused.status_code, "malformed")
            await Problem(kind, headers=refused.headers).response()(scope, receive, send)
        except tuple(PROBLEM_OF) as error:
            await problem_of(error).response()(scope, receive, send)
        except Exception:
            log.exception("request_failed", route=scope.get(ROUTE, "none"), method=scope["method"])
            if STATUS in scope:  # the response has begun: only the connection can end
                raise
            await Problem("internal", "the log of the server has the cause").response()(scope, receive, send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"]
        self._telemetry.requests.count(
            scope.get(ROUTE, "none"),
            method if method in METHODS else "other",
            str(status),
            None if STREAMED in scope else seconds,
        )


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type", "last-event-id"],
        expose_headers=["retry-after"],
        max_age=3600,
    )


def _check_length(scope: Scope) -> None:
    path, query = len(scope["raw_path"]), len(scope["query_string"])
    if path > MAX_PATH_BYTES or query > MAX_QUERY_BYTES:
        raise Problem(
            "uri-too-long",
            f"path of {path} bytes, at most {MAX_PATH_BYTES}; query of {query} bytes, at most {MAX_QUERY_BYTES}",
        )


def problem_of(error: OuzelError) -> Problem:
    """Return the problem that answers an error of `PROBLEM_OF`, with its message as the detail."""
    kind, retry_after_s = PROBLEM_OF[type(error)]
    return Problem(kind, str(error), headers={"retry-after": str(retry_after_s)})


def is_loopback_name(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether the Host header names this machine's loopback."""
    for name, value in headers:
        if name == b"host":
            return _is_loopback(value)
    return False


@lru_cache(maxsize=64)
def _is_loopback(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1").lower())
    return is_loopback(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
