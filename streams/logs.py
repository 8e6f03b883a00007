"""Logs: lines for people on a terminal, JSON elsewhere; Faust's and aiokafka's go the same way."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

import structlog

from streams.settings import Settings

QUIET = ("faust", "mode", "aiokafka", "kafka", "asyncio")
AGAIN_AFTER_S = 10.0


class Seldom(logging.Filter):
    """Lets each message of the libraries' through once in ten seconds: while Kafka is away, aiokafka has hundreds a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said; what carries an exception always is."""
        if record.exc_info or record.name.partition(".")[0] not in QUIET:
            return True
        message, now = (record.name, str(record.msg)), self._clock()
        if now - self._said.get(message, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
            return False
        if len(self._said) > 1000:  # messages that are no templates
            self._said.clear()
        self._said[message] = now
        return True


def set_up(settings: Settings) -> None:
    """Configure structlog and the standard library's loggers for this process; everything goes to stderr.

    A secret is a ``SecretStr`` from `Settings` on, so that a log line of settings shows stars.
    """
    readable = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    # Not the renderer's own tracebacks: they show local variables, and one of those may hold a password.
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer = console if readable else structlog.processors.JSONRenderer()
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not readable:  # the console renderer shows tracebacks itself
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
