"""Send records from the tools. A record that not all replicas confirm is an error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.errors import KafkaAway
from streams.kafka.connection import client_config, connecting
from streams.settings import Settings

CLOSE_WITHIN_S = 30


class DeliveryError(KafkaAway):
    """Some records were not confirmed; one line. They may have been written all the same."""


class Sender:
    """A producer that counts what was confirmed: a context manager, whose end waits for the rest.

    Raises `NoBroker` when it is created and no broker answers.
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
        self._producer.close(timeout=CLOSE_WITHIN_S)
        if kind is None:
            self.check()
            if self.confirmed != self.sent:
                raise DeliveryError(
                    f"{self.sent - self.confirmed} of {self.sent} records were not confirmed within {CLOSE_WITHIN_S} s"
                )

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Queue one record. Raises `DeliveryError` if this or an earlier record has failed."""
        self.check()
        try:
            future = self._producer.send(topic, key=key, value=value, headers=list(headers))
        except KafkaError as error:
            raise DeliveryError(f"{topic}: {error}") from error
        self.sent += 1
        future.add_callback(self._confirm)
        future.add_errback(self._fail)

    def flush(self) -> None:
        """Wait until everything that is queued has been confirmed.

        Raises `DeliveryError` if a record has failed.
        """
        self._producer.flush(timeout=CLOSE_WITHIN_S)
        self.check()

    def check(self) -> None:
        """Raise `DeliveryError` if a record has failed."""
        if self._failed:
            raise DeliveryError(f"{self._failed} records were not confirmed: {self._reason}")

    def _confirm(self, _: object) -> None:
        with self._lock:
            self.confirmed += 1

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._failed += 1
            self._reason = error
