"""Logging: readable lines on a terminal, JSON elsewhere. Each line has an event name and fields.

Logs of Faust, aiokafka and kafka-python have the same form. Levels: ``error`` needs a person, or
ends the process; ``warning`` is unusual, and was handled; ``info`` is a few lines per hour about
the worker's life.
"""

from __future__ import annotations

import io
import logging
import sys
import textwrap
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from streams.printable import printable, printable_lines
from streams.settings import Settings

LIBRARIES = ("faust", "mode", "aiokafka", "kafka", "asyncio", "uvicorn")
"""Loggers of libraries: only their warnings and errors are logged, and repeated ones seldom."""
CLOSING = "kafka.net.transport"
"""A logger that is silenced, because it logs an error for every connection that closes normally.

Errors that matter are raised, too.
"""
USERS = ("user_id", "session_id")
"""Fields that identify a user."""
WITHHELD = "withheld"
LAYOUT = ("stack", "exception")
"""Fields that are written below a line, in several lines."""
HASH_BYTES = 8
REPEAT_AFTER_S = 10.0
MAX_MESSAGES = 1000
"""Maximum number of messages that `Seldom` remembers: some libraries log texts with values."""


class Seldom(logging.Filter):
    """Passes each message of a library once in ten seconds.

    While Kafka does not answer, aiokafka logs hundreds per second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._logged_at: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        """How many messages are remembered."""
        return len(self._logged_at)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record. Ouzel's own, and those of an exception, always pass."""
        if record.exc_info or record.name.partition(".")[0] not in LIBRARIES:
            return True
        message, now = (record.name, str(record.msg)), self._clock()
        if now - self._logged_at.get(message, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return False
        if len(self._logged_at) > MAX_MESSAGES:
            self._logged_at.clear()
        self._logged_at[message] = now
        return True


def log_to_stderr() -> None:
    """Configure logging for a command: standard output is for what the command prints."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            escape_values,
            console_renderer(),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    if logging.lastResort is not None:  # it prints the warnings of libraries
        logging.lastResort.setFormatter(PrintableFormatter())


def set_up(settings: Settings) -> None:
    """Configure structlog and the standard library's loggers for this process, to log to stderr.

    Secrets are ``SecretStr`` in `Settings`, so a log line of settings shows asterisks.
    """
    readable = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderers = [escape_values, console_renderer()] if readable else [structlog.processors.JSONRenderer()]
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        Pseudonyms(settings.hash_key.get_secret_value().encode() if settings.hash_key else None),
    ]
    if not readable:  # the console renderer formats tracebacks itself
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(is_worth_logging)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, lower_errors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.getLogger(CLOSING).setLevel(logging.CRITICAL)


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Return whether a record is an event of Ouzel's, or at least a warning of a library.

    The name of the logger does not show it: classes that override Faust's log long tables under the
    names of Ouzel's modules. Ouzel's own events are dicts from structlog.
    """
    return isinstance(record.msg, dict) or record.levelno >= logging.WARNING


def lower_errors(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Turn a library's error into a warning.

    It may concern a connection that aiokafka retries. If a library cannot recover, Ouzel logs an
    error of its own.
    """
    if event.get("level") == "error":
        event["level"] = "warning"
    return event


def console_renderer() -> structlog.dev.ConsoleRenderer:
    """Return the renderer of readable lines.

    Its own tracebacks would show local variables, and one of those may hold a password.
    """
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)


def escape_values(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Escape the fields of a log line, whose colours are added later. JSON escapes by itself."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable_lines(value) if name in LAYOUT else printable(value)
        elif name != "exc_info" and (shown := printable(repr(value))) != repr(value):
            event[name] = shown
    return event


class PrintableFormatter(logging.Formatter):
    """Formats the lines of libraries in a command that does not configure their loggers."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return printable_lines(super().formatException(ei))


def _write_traceback(out: TextIO, error: ExcInfo) -> None:
    """Write a traceback below a log line, indented so that no text in it looks like a log line."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    out.write(textwrap.indent(printable_lines(text.getvalue()), "  "))


class Pseudonyms:
    """Replaces ids of users and sessions in log lines by keyed hashes.

    Without a key they are replaced by `WITHHELD`.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key if key is None or len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for name in USERS:
            if (user := event.get(name)) is not None:
                event[name] = WITHHELD if self._key is None else self.of(str(user), self._key)
        return event

    @staticmethod
    def of(user: str, key: bytes) -> str:
        """Return the hash of a user id: the same for the same id and key."""
        return blake2b(user.encode(errors="replace"), key=key, digest_size=HASH_BYTES).hexdigest()
