"""The endpoint from which Prometheus scrapes a process, with the bounds of `ouzel serve`."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.asgi import make_asgi_app
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.http.bounds import Bounds
from streams.http.listener import listen
from streams.http.places import RESERVED, Places
from streams.http.server import bounded_server
from streams.settings import SettingsError

MOST_CONNECTIONS = 32
MAX_HEAD_BYTES = 16_384
TIMEOUT_S = 10.0
BACKLOG = RESERVED // 2
"""The connections that may wait to be accepted.

asyncio accepts as many at once before any of them gets a place. More would take the files that the
process needs for Kafka and RocksDB, and would replace a scrape before it was read.
"""
_USED = frozenset({b"accept", b"accept-encoding"})
KEEP_ALIVE_S = 120
"""Longer than the usual interval of scrapes, so that Prometheus keeps its connection."""


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answer scrapes on ``http://host:port/metrics``, in a thread of its own.

    The thread answers while the event loop of the process is busy. Raises `SettingsError` if the
    address cannot be used.
    """
    try:
        listener = listen(host, port)
    except OSError as error:
        raise SettingsError(
            f"OUZEL_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}. Set OUZEL_METRICS_PORT to a free port, or "
            "to 0 for no metrics, and OUZEL_METRICS_HOST to an address of this machine"
        ) from error
    threading.Thread(target=_serve, args=(registry, listener), name="metrics", daemon=True).start()


def _serve(registry: CollectorRegistry, listener: socket.socket) -> None:
    # asyncio's own loop: a daemon thread must be able to end at any point in Python code.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(server(registry).serve(sockets=[listener]))


def server(registry: CollectorRegistry) -> uvicorn.Server:
    """Return the server that answers scrapes. It has yet to be run."""
    bounds = Bounds(Places(MOST_CONNECTIONS), MAX_HEAD_BYTES, TIMEOUT_S)
    return bounded_server(_scrapes(registry), bounds, KEEP_ALIVE_S, backlog=BACKLOG)


def _scrapes(registry: CollectorRegistry) -> ASGIApp:
    """Return the app. It answers every path, as prometheus-client's own server does."""
    app = make_asgi_app(registry)

    async def scrape(scope: Scope, receive: Receive, send: Send) -> None:
        # prometheus-client decodes every header as UTF-8, and fails on other bytes.
        headers = [header for header in scope["headers"] if header[0] in _USED and header[1].isascii()]
        await app(dict(scope, headers=headers), receive, send)

    return scrape
