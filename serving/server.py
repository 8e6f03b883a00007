"""The process of `ouzel serve`: runs uvicorn with more bounds, and the tasks of the service."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import sys
from contextlib import suppress

import structlog
import uvloop

from serving.app import create_app
from serving.http.problems import TYPES_AT
from serving.state.keys import Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from streams.errors import FAILED, OK, exit_code_at_work
from streams.events.decode import EventDecoder
from streams.http.bounds import Bounds
from streams.http.listener import connections_allowed
from streams.http.places import Places
from streams.http.server import bounded_server
from streams.settings import Settings

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 5
KEEP_ALIVE_S = 30
_M_MMAP_THRESHOLD = -3
"""The option of glibc's ``mallopt`` (malloc.h)."""
_LARGE_BLOCK = 131_072
SWITCH_INTERVAL_S = 0.0005
"""How long the thread of the experts keeps the interpreter lock while a request waits for it.

Python's default is 5 ms.
"""


def run_server(
    settings: Settings, keys: Keys, decoder: EventDecoder, telemetry: ServingTelemetry, listener: socket.socket
) -> int:
    """Serve on a bound socket until SIGTERM, SIGINT or a failure. Return the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _return_large_blocks()
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles signals while it serves, and raises them again at its end.
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, keys, decoder, telemetry, listener))


async def _serve(
    settings: Settings, keys: Keys, decoder: EventDecoder, telemetry: ServingTelemetry, listener: socket.socket
) -> int:
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        if exit_code_at_work(error) == FAILED:
            log.error("failed", error=repr(error), exc_info=error)
        else:
            log.error("refused", reason=str(error))
        failures.append(error)
        server.should_exit = True

    service = Service(settings, keys, decoder, telemetry, fail)
    bounds = _bounds(settings, telemetry)
    server = bounded_server(create_app(service), bounds, KEEP_ALIVE_S, stop_within_s=STOP_WITHIN_S)
    service.start()
    try:
        await server.serve(sockets=[listener])
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(service.stop(), STOP_WITHIN_S)
    return exit_code_at_work(failures[0]) if failures else OK


def _return_large_blocks() -> None:
    """Have glibc return the memory of large request bodies to the system as soon as it is free.

    By default, glibc keeps blocks of a size that was freed once, up to 32 MB each.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def _bounds(settings: Settings, telemetry: ServingTelemetry) -> Bounds:
    wanted = settings.serve_max_connections
    most = connections_allowed(wanted)
    if most < wanted:
        log.warning("fewer_connections", wanted=wanted, most=most, reason="the limit of open files (ulimit -n)")
    return Bounds(
        Places(most),
        settings.serve_max_head_bytes,
        settings.serve_client_timeout_s,
        lambda reason: telemetry.cut.labels(reason).inc(),
        TYPES_AT,
    )
