"""The uvicorn server of every process that listens, with bounded connections."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from streams.http.bounds import Bounds
from streams.http.protocol import bounded
from streams.http.security import SECURITY_HEADERS


def bounded_server(
    app: ASGIApp, bounds: Bounds, keep_alive_s: int, *, stop_within_s: int | None = None, backlog: int = 2048
) -> uvicorn.Server:
    """Return a server that has not started.

    It keeps an idle connection for ``keep_alive_s``. At its end, open requests have
    ``stop_within_s``, or all the time they need. ``backlog`` is the number of connections that it
    accepts at once.
    """
    config = uvicorn.Config(
        app,
        http=bounded(bounds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=SECURITY_HEADERS,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=stop_within_s,
        backlog=backlog,
    )
    return uvicorn.Server(config)
