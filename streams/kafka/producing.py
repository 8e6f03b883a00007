"""Sends records for the tools. Each must be confirmed by all replicas, or an error is raised."""

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
LINGER_MS, EMBEDDED_LINGER_MS = 5, 50
"""The embedded broker keeps every batch, and each makes the next fetches slower."""


class DeliveryError(KafkaAway):
    """Some records were not confirmed; they may have been written. The message is one line."""


class Sender:
    """A producer that counts the confirmed records, as a context manager.

    The end of the context waits for the records that are not confirmed yet. The constructor raises
    `NoBroker` if no broker answers.
    """

    def __init__(self, settings: Settings) -> None:
        with connecting(settings):
            self._producer = KafkaProducer(
                **client_config(settings),
                acks="all",
                linger_ms=LINGER_MS if settings.idempotent else EMBEDDED_LINGER_MS,
                enable_idempotence=settings.idempotent,
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

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record. Without a partition that exists, the hash of the key decides.

        ``timestamp_ms`` is its Kafka time, by default the present.
        Raises `DeliveryError` if this or an earlier record has failed.
        """
        self.check()
        try:
            if partition is not None and partition not in (self._producer.partitions_for(topic) or ()):
                partition = None
            future = self._producer.send(
                topic, key=key, value=value, headers=list(headers), partition=partition, timestamp_ms=timestamp_ms
            )
        except KafkaError as error:
            raise DeliveryError(f"{topic}: {error}") from error
        self.sent += 1
        future.add_callback(self._confirm)
        future.add_errback(self._fail)

    def flush(self) -> None:
        """Wait until every queued record has been confirmed.

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
