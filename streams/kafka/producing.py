"""Sending records from the tools: confirmed by all replicas, failures told, none lost silently."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.kafka.connection import client_config, connecting
from streams.settings import Settings


class DeliveryError(Exception):
    """Some records were not confirmed; one line."""


class Sender:
    """A producer that counts what was confirmed; a context manager that awaits the rest at its end.

    Raises `NoBroker` when it is made and no broker answers.
    """

    def __init__(self, settings: Settings) -> None:
        with connecting(settings):
            self._producer = KafkaProducer(
                **client_config(settings), acks="all", linger_ms=5, enable_idempotence=settings.idempotent
            )
        self._lock = threading.Lock()
        self.confirmed = 0
        self.sent = 0
        self._failed = 0
        self._reason: BaseException | None = None

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._producer.close(timeout=30)
        if kind is None:
            self.check()
            if self.confirmed != self.sent:
                raise DeliveryError(f"{self.sent - self.confirmed} of {self.sent} records were not confirmed")

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Any = None) -> None:
        """Queue one record. Raises `DeliveryError` once an earlier one has failed."""
        self.check()
        try:
            future = self._producer.send(topic, key=key, value=value, headers=list(headers or []))
        except KafkaError as error:
            raise DeliveryError(f"{topic}: {error}") from error
        self.sent += 1
        future.add_callback(self._confirm)
        future.add_errback(self._fail)

    def flush(self) -> None:
        """Await what is queued."""
        self._producer.flush(timeout=30)
        self.check()

    def check(self) -> None:
        """Raise `DeliveryError` if anything was refused."""
        if self._failed:
            raise DeliveryError(f"{self._failed} records were not confirmed: {self._reason}")

    def _confirm(self, _: object) -> None:
        with self._lock:
            self.confirmed += 1

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._failed += 1
            self._reason = error
