"""Connection settings for each kind of Kafka client: security is set once and reaches them all."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError

from streams.settings import Settings, SettingsError

CONNECT_MS = 8_000
RECONNECT_MS = 1_000
"""The longest pause between attempts to reach a broker that has gone, as in Kafka's own clients; kafka-python's is 30 s."""
DISCONNECTED = "socket disconnected"
TIME_OUTS = (KafkaTimeoutError, RequestTimedOutError)


class NoBroker(Exception):
    """No broker answers, and why, in one line."""


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context, or ``None`` where the protocol has no TLS. Raises `SettingsError` on a file that is none."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
    except OSError as error:
        raise SettingsError(f"ssl_cafile: {settings.ssl_cafile} holds no PEM certificates: {error}") from error
    try:
        if settings.ssl_certfile:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, _no_passphrase)
    except OSError as error:
        raise SettingsError(f"ssl_certfile, ssl_keyfile: no PEM certificate and its key without passphrase: {error}") from error
    return context


def client_config(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every kafka-python client."""
    return connection(settings) | {"bootstrap_timeout_ms": CONNECT_MS, "reconnect_backoff_max_ms": RECONNECT_MS}


def consumer_config(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every kafka-python consumer."""
    return client_config(settings) | {"isolation_level": isolation_level(settings)}


def aiokafka_config(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every aiokafka consumer."""
    return connection(settings) | {"isolation_level": isolation_level(settings)}


def isolation_level(settings: Settings) -> str:
    """What is read: also with leased delivery, as those who produce events may use transactions. The embedded broker has none."""
    return "read_committed" if settings.idempotent else "read_uncommitted"


def connection(settings: Settings) -> dict[str, Any]:
    """Where Kafka is, and how to be let in."""
    config: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.broker.split(",")],
        "security_protocol": settings.security_protocol,
    }
    if (context := ssl_context(settings)) is not None:
        config["ssl_context"] = context
    return config | _sasl(settings)


def faust_credentials(settings: Settings) -> Any:
    """Faust's form of the same, or ``None`` for plain text."""
    from faust.auth import SASLCredentials, SSLCredentials  # noqa: PLC0415  tools need no Faust

    context = ssl_context(settings)
    sasl = _sasl(settings)
    if sasl:
        return SASLCredentials(
            username=sasl["sasl_plain_username"],
            password=sasl["sasl_plain_password"],
            mechanism=sasl["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


@contextmanager
def connecting(settings: Settings) -> Iterator[None]:
    """Make kafka-python clients within this. Raises `NoBroker` where one cannot connect."""
    with _connection_errors() as reasons:
        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            reason = in_one_line(most_telling([*reasons, error]))
            hint = "; do security_protocol, user and password fit?" if DISCONNECTED in reason else ""
            raise NoBroker(f"no broker answers at {settings.broker}: {reason}{hint}") from error


def in_one_line(error: BaseException) -> str:
    """An error's kind and text, cut."""
    kind, text = type(error).__name__, " ".join(str(error.args[0] if error.args else "").split())
    return (text if text.startswith(kind) else f"{kind}: {text}".rstrip(": "))[:300]


@contextmanager
def _connection_errors() -> Iterator[list[BaseException]]:
    """Why kafka-python does not connect while this is entered: it raises a bare timeout and only logs the reason."""
    found: list[BaseException] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arguments = record.args if isinstance(record.args, tuple) else ()
            found.extend(argument for argument in arguments if isinstance(argument, BaseException))

    logger, handler = logging.getLogger("kafka.net.manager"), Collector(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def most_telling(reasons: Sequence[BaseException]) -> BaseException:
    """The first that is more than a closed connection or a time-out: a broker may close before its refusal has been read."""
    return next((r for r in reasons if not (DISCONNECTED in str(r) or isinstance(r, TIME_OUTS))), reasons[0])


def _no_passphrase() -> str:
    """OpenSSL would ask on the terminal, and wait for ever where there is none."""
    return ""


def _sasl(settings: Settings) -> dict[str, Any]:
    if not settings.security_protocol.startswith("SASL"):
        return {}
    password = settings.sasl_password
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else "",
    }
