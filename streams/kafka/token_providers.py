"""Gives each kind of Kafka client its access tokens, in the form that it asks for them."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.abc import AbstractTokenProvider as AiokafkaProvider
from aiokafka.errors import KafkaConnectionError as AiokafkaConnectionError
from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider as KafkaPythonProvider

from streams.errors import OuzelError
from streams.kafka.oauth import Tokens

log = structlog.get_logger(__name__)


class AiokafkaTokens(AiokafkaProvider):  # type: ignore[misc]
    """The tokens of aiokafka's and Faust's clients. A token is fetched in a thread.

    A token that cannot be fetched counts as a broker that cannot be reached, which the client tries
    again. The log says why.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def token(self) -> str:
        """Return a token. Raises aiokafka's ``KafkaConnectionError``."""
        try:
            kept = self._tokens.kept()
            return kept if kept is not None else await asyncio.to_thread(self._tokens.get)
        except OuzelError as error:
            log.warning("no_token", reason=str(error))
            raise AiokafkaConnectionError(str(error)) from None


class KafkaPythonTokens(KafkaPythonProvider):  # type: ignore[misc]
    """The tokens of kafka-python's clients, which are used outside the event loop."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens

    def token(self) -> str:
        """Return a token. Raises kafka-python's ``KafkaConnectionError``."""
        try:
            return self._tokens.get()
        except OuzelError as error:
            raise KafkaConnectionError(str(error)) from None
