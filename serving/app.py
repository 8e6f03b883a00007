"""The ASGI app: routes made of the operations, and the edge around them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.edge import Edge
from serving.operations import Operation, Resource
from serving.problems import Problem
from serving.routes import health, recommendations
from serving.service import Service

OPERATIONS: Sequence[Operation] = (*recommendations.OPERATIONS, *health.OPERATIONS)
"""Everything that there is, the most asked for first: routes are tried in this order."""


def create_app(service: Service) -> ASGIApp:
    """The app over a service that is started elsewhere."""
    paths = groupby(OPERATIONS, lambda operation: operation.path)
    routes = [Route(path, Resource(service, list(operations))) for path, operations in paths]
    router = Router(routes, redirect_slashes=False, default=_nothing)
    return Edge(router, service.telemetry, check_host=not service.keys.required)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem("not-found")
