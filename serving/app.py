"""Builds the ASGI app of `ouzel serve`: a route for each path, inside `serving.http.edge`."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.edge import Edge
from serving.http.operations import Operation, Resource
from serving.http.problems import Problem
from serving.http.routes import discovery, events, health, items, live, pages, recommendations, users
from serving.state.service import Service

API: Sequence[Operation] = (
    *recommendations.OPERATIONS,
    *events.OPERATIONS,
    *users.OPERATIONS,
    *discovery.OPERATIONS,
    *items.OPERATIONS,
    *live.OPERATIONS,
    *health.OPERATIONS,
)
OPERATIONS: Sequence[Operation] = (*API, *pages.Pages(API).operations)
"""Every operation. Routes are tried in this order, so the most frequent come first."""


def create_app(service: Service) -> ASGIApp:
    """Return the app that answers from a service. The caller starts and stops the service."""
    paths: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, []).append(operation)
    routes = [Route(path, Resource(service, operations)) for path, operations in paths.items()]
    app: ASGIApp = Router([*routes, Mount("/page", pages.PageFiles())], redirect_slashes=False, default=_no_route)
    origins = service.settings.serve_cors_origins
    return Edge(app, service.telemetry, check_host=not service.keys.required, origins=origins)


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem("not-found", "no operation has this path; /reference lists every path")
