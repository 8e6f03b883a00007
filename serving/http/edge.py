"""The outermost layer of the app: what holds for every request, whichever route it takes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import lru_cache

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.loopback import is_loopback
from serving.http.operations import ROUTE, STREAMED
from serving.http.problems import Problem
from serving.state.telemetry import ServingTelemetry

log = structlog.get_logger(__name__)

MAX_PATH_BYTES = 2_048
MAX_QUERY_BYTES = 8_192
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})


class Edge:
    """Bounds path and query, refuses foreign hosts where there are no keys, turns problems into answers, and counts."""

    def __init__(self, app: ASGIApp, telemetry: ServingTelemetry, *, check_host: bool) -> None:
        self._app, self._telemetry, self._check_host = app, telemetry, check_host
        self._in_flight = 0
        telemetry.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._in_flight += 1
        try:
            self._admit(scope)
            # Routes match the path as it was sent: an id may hold a slash, which comes percent-encoded.
            scope["path"] = scope["raw_path"].decode("ascii")
            await self._app(scope, receive, watched)
        except Problem as problem:
            await problem.response()(scope, receive, watched)
        except HTTPException as refused:  # of starlette's own files
            kind = {404: "not-found", 405: "method-not-allowed"}.get(refused.status_code, "malformed")
            await Problem(kind, headers=refused.headers).response()(scope, receive, watched)
        except Exception:
            log.exception("request_failed", route=scope.get(ROUTE, "none"), method=scope["method"])
            if status != 500:  # the answer has begun: all that can be done is to end the connection
                raise
            await Problem("internal").response()(scope, receive, watched)
        finally:
            self._in_flight -= 1
            self._count(scope, status, time.perf_counter() - began)

    def _admit(self, scope: Scope) -> None:
        if len(scope["raw_path"]) > MAX_PATH_BYTES or len(scope["query_string"]) > MAX_QUERY_BYTES:
            raise Problem("uri-too-long", f"at most {MAX_PATH_BYTES} bytes of path and {MAX_QUERY_BYTES} of query")
        if self._check_host and not is_loopback_name(scope["headers"]):
            self._telemetry.auth_refusals.labels("host").inc()
            raise Problem("foreign-host")

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"]
        self._telemetry.requests.count(
            scope.get(ROUTE, "none"),
            method if method in METHODS else "other",
            str(status),
            None if STREAMED in scope else seconds,
        )


def is_loopback_name(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the request names this machine's loopback: a page of another site, whose name resolves to it, does not."""
    for name, value in headers:
        if name == b"host":
            return _is_loopback(value)
    return False


@lru_cache(maxsize=64)
def _is_loopback(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1").lower())
    return is_loopback(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
