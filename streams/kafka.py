"""Connection settings for each kind of Kafka client: security is set once and reaches them all."""

from __future__ import annotations

import ssl
from typing import Any

from streams.settings import Settings


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context, or ``None`` where the protocol has no TLS."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
    if settings.ssl_certfile:
        context.load_cert_chain(str(settings.ssl_certfile), str(settings.ssl_keyfile) if settings.ssl_keyfile else None)
    return context


def client_config(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every kafka-python client."""
    config: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.broker.split(",")],
        "security_protocol": settings.security_protocol,
    }
    if (context := ssl_context(settings)) is not None:
        config["ssl_context"] = context
    return config | _sasl(settings)


def aiokafka_config(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every aiokafka client: the same names."""
    return client_config(settings)


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


def _sasl(settings: Settings) -> dict[str, Any]:
    if not settings.security_protocol.startswith("SASL"):
        return {}
    password = settings.sasl_password
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else "",
    }
