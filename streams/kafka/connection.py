"""Connection arguments for each kind of Kafka client: all use the same security settings."""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError

from streams.configuration.security import BEARER
from streams.errors import KafkaAway
from streams.kafka.oauth import tokens
from streams.kafka.token_providers import AiokafkaTokens, KafkaPythonTokens
from streams.kafka.upstream import compute_checksums_in_c
from streams.settings import Settings, SettingsError

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

compute_checksums_in_c()

SHORT_WAIT_MS, LONG_WAIT_MS, EMBEDDED_WAIT_MS, FOLLOW_WAIT_MS = 25, 250, 100, 500
CONNECT_MS = 8_000
RECONNECT_MS = 1_000
"""Maximum pause between attempts to reach a lost broker, as in Kafka's Java clients.

The default of kafka-python is 30 s.
"""
DISCONNECTED = "socket disconnected"
TIMEOUTS = (KafkaTimeoutError, RequestTimedOutError)
_ERRNO = re.compile(r"(?P<number>\d+) (?P<name>E[A-Z]+)")
_OF_CLIENT = re.compile(r"(\[Error \d+\] )?\bKafka(Connection|Timeout)Error: ")
_CLASS = re.compile(r"(?:\[Error \d+\] )?\b(\w+)Error\b")


class NoBroker(KafkaAway):
    """No broker answers. The message says why, in one line."""


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context, or ``None`` if the protocol has no TLS.

    Raises `SettingsError` for a certificate or key file that OpenSSL cannot use.
    """
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
    except OSError as error:
        raise SettingsError(f"ssl_cafile: {settings.ssl_cafile} contains no PEM certificates: {error}") from error
    try:
        if settings.ssl_certfile:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, _no_passphrase)
    except OSError as error:
        raise SettingsError(
            f"ssl_certfile, ssl_keyfile: these must be a PEM certificate and its key, without a passphrase: {error}"
        ) from error
    return context


def client_config(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of a kafka-python client.

    Raises `TokenRefused` or `TokenAway` if it needs an access token and there is none. The client
    itself would only report that it could not connect.
    """
    config = connection(settings) | {"bootstrap_timeout_ms": CONNECT_MS, "reconnect_backoff_max_ms": RECONNECT_MS}
    if settings.sasl_mechanism == BEARER:
        tokens(settings).get()
        config["sasl_oauth_token_provider"] = KafkaPythonTokens(tokens(settings))
    return config


def consumer_config(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of a kafka-python consumer."""
    return client_config(settings) | {"isolation_level": isolation_level(settings)}


class FetchWaits(NamedTuple):
    """How long fetches of events and rankings may wait at the broker, in milliseconds.

    Use ``short_ms`` if another request may follow on the connection, which the broker answers after
    the fetch, or if records of other partitions may be behind the wait. Otherwise use ``long_ms``.
    """

    short_ms: int
    long_ms: int


def fetch_waits(settings: Settings) -> FetchWaits:
    """Return the waits at this broker.

    Apache Kafka answers as soon as a record comes. The embedded broker looks for records at a half,
    three quarters and so on of the wait, so each wait is a compromise there. It also ends a fetch
    without records if the wait is over before it has listed all batches of the partition.
    """
    if settings.fetch_max_wait_ms is not None:
        return FetchWaits(min(SHORT_WAIT_MS, settings.fetch_max_wait_ms), settings.fetch_max_wait_ms)
    if not settings.idempotent:
        return FetchWaits(EMBEDDED_WAIT_MS, EMBEDDED_WAIT_MS)
    return FetchWaits(SHORT_WAIT_MS, LONG_WAIT_MS)


def aiokafka_config(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of an aiokafka consumer that nobody waits for."""
    return connection(settings) | {"isolation_level": isolation_level(settings), "fetch_max_wait_ms": FOLLOW_WAIT_MS}


def isolation_level(settings: Settings) -> str:
    """Return the isolation level of every consumer.

    It is ``read_committed`` for leased delivery too, because the producers of events may use
    transactions. The embedded broker has no transactions.
    """
    return "read_committed" if settings.idempotent else "read_uncommitted"


def connection(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that every client has: the brokers' addresses, TLS and login.

    Those of kafka-python get their access tokens otherwise: see `client_config`.
    """
    config: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "security_protocol": settings.security_protocol,
    }
    if (context := ssl_context(settings)) is not None:
        config["ssl_context"] = context
    return config | _sasl(settings)


def faust_credentials(settings: Settings) -> CredentialsT | None:
    """Return TLS and login as Faust's credentials, or ``None`` for plain text."""
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials  # noqa: PLC0415  the tools do not import Faust

    context = ssl_context(settings)
    sasl = _sasl(settings)
    if settings.sasl_mechanism == BEARER:
        return OAuthCredentials(oauth_cb=sasl["sasl_oauth_token_provider"], ssl_context=context)
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
    """Create kafka-python clients in this context, to get `NoBroker` when one cannot connect."""
    with _connection_errors() as reasons:
        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            reason = in_one_line(most_specific([*reasons, error]))
            login = "oauth_client_id and oauth_scope" if settings.sasl_mechanism == BEARER else "sasl_username and sasl_password"
            login_failed = DISCONNECTED in reason or "Authentication" in reason
            hint = f"; check security_protocol, {login}" if login_failed else ""
            raise NoBroker(f"no broker answers at {settings.broker}: {reason}{hint}") from error


def in_one_line(error: BaseException) -> str:
    """Return what an error says, on one line of at most 300 characters.

    An error of Kafka's protocol starts with its name there, such as ``TopicAlreadyExists``.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = _plain(" ".join(str(error.args[0] if error.args else "").split()))
    if (refused := _ERRNO.fullmatch(text)) is not None:  # kafka-python writes the number and its name
        return f"{os.strerror(int(refused['number'])).lower()} ({refused['name']})"
    name = _plain(type(error).__name__)
    of_protocol = isinstance(getattr(error, "errno", None), int)
    return (f"{name}: {text}".rstrip(": ") if of_protocol and not text.startswith(name) else text or name)[:300]


def _plain(text: str) -> str:
    """Remove what only Python needs from the names of Kafka's errors."""
    return _CLASS.sub(r"\1", _OF_CLIENT.sub("", text))


@contextmanager
def _connection_errors() -> Iterator[list[BaseException]]:
    """Collect why kafka-python cannot connect: it logs the reasons, and raises only a timeout."""
    reasons: list[BaseException] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arguments = record.args if isinstance(record.args, tuple) else ()
            reasons.extend(argument for argument in arguments if isinstance(argument, BaseException))

    logger, handler = logging.getLogger("kafka.net.manager"), Collector(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield reasons
    finally:
        logger.removeHandler(handler)


def most_specific(reasons: Sequence[BaseException]) -> BaseException:
    """Return the first reason that is more than a closed connection or a timeout, if there is one.

    A broker may close the connection before the client has read why it is rejected.
    """
    return next((r for r in reasons if not (DISCONNECTED in str(r) or isinstance(r, TIMEOUTS))), reasons[0])


def _no_passphrase() -> str:
    """Return no passphrase.

    Otherwise OpenSSL asks for one on the terminal, and blocks if there is none.
    """
    return ""


def _sasl(settings: Settings) -> dict[str, Any]:
    if not settings.security_protocol.startswith("SASL"):
        return {}
    if settings.sasl_mechanism == BEARER:
        return {"sasl_mechanism": BEARER, "sasl_oauth_token_provider": AiokafkaTokens(tokens(settings))}
    password = settings.sasl_password
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else "",
    }
