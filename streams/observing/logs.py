"""Logs: lines for people on a terminal, JSON elsewhere; one event's name per line, and Faust's and aiokafka's go the same way.

Levels: ``error`` is for a person, the process ends or has to be helped; ``warning`` is odd and was dealt with; ``info`` is the
worker's life, a few lines an hour.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from hashlib import blake2b
from typing import Any

import structlog

from streams.settings import Settings

QUIET = ("faust", "mode", "aiokafka", "kafka", "asyncio")
CLOSING = "kafka.net.transport"
"""Has an error for every connection that is closed, as a client's is that has its answer; what matters is raised besides."""
USERS = ("user_id", "session_id")
"""Fields that name somebody."""
WITHHELD = "withheld"
HASH_BYTES = 8
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
        Pseudonyms(settings.hash_key.get_secret_value().encode() if settings.hash_key else None),
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
    handler.addFilter(ours_or_odd)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, no_alarm],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.getLogger(CLOSING).setLevel(logging.CRITICAL)


def ours_or_odd(record: logging.LogRecord) -> bool:
    """Whether a line is an event of ours, or a library's from warnings on.

    What we override of Faust talks, in tables of many lines, under our modules' names; ours come as dicts of structlog.
    """
    return isinstance(record.msg, dict) or record.levelno >= logging.WARNING


def no_alarm(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's error, as of a connection that aiokafka tries again, is a warning: what it cannot mend ends in one of ours."""
    if event.get("level") == "error":
        event["level"] = "warning"
    return event


class Pseudonyms:
    """Puts a keyed hash in the place of whoever is named in a line; without a key nothing."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key if key is None or len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name in USERS:
            if (user := event.get(name)) is not None:
                event[name] = WITHHELD if self._key is None else self.of(str(user), self._key)
        return event

    @staticmethod
    def of(user: str, key: bytes) -> str:
        """The same for the same user and key."""
        return blake2b(user.encode(errors="replace"), key=key, digest_size=HASH_BYTES).hexdigest()
