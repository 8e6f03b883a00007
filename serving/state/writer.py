"""Writes records to Kafka for requests. All in-sync replicas confirm, or it fails within 2 s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAuthorizationFailedError

from serving.state.telemetry import ServingTelemetry
from streams.engine.upstream import sender_task
from streams.errors import KafkaAway
from streams.kafka.connection import connection, in_one_line
from streams.settings import Settings

log = structlog.get_logger(__name__)

CONFIRM_WITHIN_S = 1.5
PROBE_WITHIN_S = 1.0
PROBE_EVERY_S = (5.0, 0.5)
"""Pause between probes while Kafka confirms writes, and while it does not."""
REQUEST_TIMEOUT_MS = 5_000
MOST_PENDING = 10_000
"""Maximum number of records that wait for Kafka's confirmation at a time."""
MOST_BYTES = 52_000_000


class NotConfirmed(KafkaAway):
    """Kafka did not confirm a write in time. The records may have been written nevertheless."""


class TooManyPending(KafkaAway):
    """Too many records wait for Kafka's confirmation already. Nothing was written."""


class NewRecord(NamedTuple):
    """A record to write. Without ``partition``, the hash of the key decides, as usual in Kafka."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Written(NamedTuple):
    """Where Kafka has put a record. ``kafka_time`` is epoch ms."""

    partition: int
    offset: int
    kafka_time: int


class TooLarge(NamedTuple):
    """The result for a record that is larger than its topic allows. It was not written."""


class Writer:
    """Writes with an idempotent producer, and knows whether Kafka confirms.

    The service calls `start`, `watch` and `stop`; requests call `write`. All run on one event loop.
    """

    def __init__(self, settings: Settings, telemetry: ServingTelemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._producer: AIOKafkaProducer | None = None
        self._pending = 0
        self.available = False
        """Whether Kafka confirmed the last write or answered the last probe."""

    async def start(self) -> None:
        """Connect. Raises ``KafkaError``."""
        self._producer = await self._connected()
        self._set_available(True)

    async def stop(self) -> None:
        """Wait a moment for records that are being sent, and disconnect."""
        producer, self._producer = self._producer, None
        await _stop(producer)

    async def write(self, records: Sequence[NewRecord]) -> list[Written | TooLarge]:
        """Send records in this order and wait until each is confirmed.

        Raises `NotConfirmed` if not all of them are confirmed in time. They may have been written
        nevertheless, so a client that retries must send the same event ids. Raises `TooManyPending`
        if too many records wait already.
        """
        if self._pending + len(records) > MOST_PENDING:
            self._telemetry.failed_writes.labels("full").inc()
            raise TooManyPending(f"{self._pending} records wait for Kafka, at most {MOST_PENDING} may wait: retry later")
        if not self.available or self._producer is None:
            self._telemetry.failed_writes.labels("away").inc()
            raise NotConfirmed("nothing was sent, because Kafka did not confirm an earlier write: retry later")
        began = time.perf_counter()
        self._pending += len(records)
        try:
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                results = await _confirmed(self._producer, records)
        except TimeoutError:
            self._set_available(False)
            self._telemetry.failed_writes.labels("timeout").inc()
            raise NotConfirmed(f"Kafka did not confirm within {CONFIRM_WITHIN_S:g} s: retry later") from None
        except TopicAuthorizationFailedError as error:
            self._telemetry.failed_writes.labels("denied").inc()
            topics = ", ".join(sorted({record.topic for record in records}))
            raise NotConfirmed(f"Kafka does not let this server write to {topics}: its user needs Write on it") from error
        except KafkaError as error:
            log.warning("write_failed", error=repr(error))
            self._set_available(False)
            self._telemetry.failed_writes.labels("error").inc()
            raise NotConfirmed(f"Kafka answered {in_one_line(error)}: retry later") from error
        finally:
            self._pending -= len(records)
        self._telemetry.kafka_write_seconds.observe(time.perf_counter() - began)
        return results

    async def watch(self) -> None:
        """Probe Kafka until cancelled, and replace a producer that has failed for good.

        The service runs this as a task, after `start`.
        """
        while True:
            await asyncio.sleep(PROBE_EVERY_S[0] if self.available else PROBE_EVERY_S[1])
            try:
                async with asyncio.timeout(PROBE_WITHIN_S):
                    self._set_available(await self._answers())
            except (TimeoutError, KafkaError):
                self._set_available(False)

    async def _answers(self) -> bool:
        producer = self._producer
        assert producer is not None  # `start` came first
        if _has_failed(producer):
            self._producer = await self._connected()
            await _stop(producer)
            producer = self._producer
        return bool(await producer.client.force_metadata_update())

    async def _connected(self) -> AIOKafkaProducer:
        settings = self._settings
        producer = AIOKafkaProducer(
            **connection(settings),
            acks="all",
            enable_idempotence=settings.idempotent,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_request_size=MOST_BYTES,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _set_available(self, available: bool) -> None:
        if available != self.available:
            log.info("kafka_available" if available else "kafka_away")
        self.available = available
        self._telemetry.kafka_available.set(available)


async def _confirmed(producer: AIOKafkaProducer, records: Sequence[NewRecord]) -> list[Written | TooLarge]:
    futures: list[asyncio.Future[Any]] = []
    for record in records:
        futures.append(
            await producer.send(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
        )
    results: list[Written | TooLarge] = []
    for result in await asyncio.gather(*futures, return_exceptions=True):
        if isinstance(result, MessageSizeTooLargeError):
            results.append(TooLarge())
        elif isinstance(result, BaseException):
            raise result
        else:
            results.append(Written(result.partition, result.offset, result.timestamp))
    return results


def _has_failed(producer: AIOKafkaProducer) -> bool:
    """Tell whether the producer's task has ended. It then rejects every record."""
    task = sender_task(producer)
    return task is None or task.done()


async def _stop(producer: AIOKafkaProducer | None) -> None:
    if producer is not None:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                await producer.stop()
