"""Writing to Kafka for requests: confirmed by all replicas, or refused within two seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from serving.http.problems import Problem
from serving.state.telemetry import ServingTelemetry
from streams.engine.upstream import sender_task
from streams.kafka.connection import connection
from streams.settings import Settings

log = structlog.get_logger(__name__)

CONFIRM_WITHIN_S = 1.5
PROBE_WITHIN_S = 1.0
PROBE_EVERY_S = (5.0, 0.5)
"""While Kafka confirms, and while it does not."""
REQUEST_TIMEOUT_MS = 5_000
MOST_PENDING = 10_000
MOST_BYTES = 52_000_000
_AWAY = {"retry-after": "2"}


class NewRecord(NamedTuple):
    """What to write; without a partition the key decides, as with every producer of Kafka's."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


class Placed(NamedTuple):
    """Where a record came to lie. ``kafka_time`` is epoch ms."""

    partition: int
    offset: int
    kafka_time: int


class TooLarge(NamedTuple):
    """A record that no broker takes."""


class Writer:
    """An idempotent producer, and whether Kafka confirms."""

    def __init__(self, settings: Settings, telemetry: ServingTelemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._producer: Any = None
        self._pending = 0
        self.available = False

    async def start(self) -> None:
        """Connect. Raises ``KafkaError``."""
        self._producer = await self._connected()
        self._tell(True)

    async def stop(self) -> None:
        """Await what is under way, for a moment."""
        producer, self._producer = self._producer, None
        await _stopped(producer)

    async def write(self, records: Sequence[NewRecord]) -> list[Placed | TooLarge]:
        """Send, in this order, and await every confirmation. Raises `Problem` where they do not all come in time.

        What was not confirmed may have been written all the same: who sends it again, does so with the same event ids.
        """
        if self._pending + len(records) > MOST_PENDING:
            self._telemetry.failed_writes.labels("full").inc()
            raise Problem("too-many", f"{self._pending} records wait for Kafka", headers={"retry-after": "1"})
        if not self.available or self._producer is None:
            self._telemetry.failed_writes.labels("away").inc()
            raise Problem("kafka-away", "it did not confirm what came before", headers=_AWAY)
        began = time.perf_counter()
        self._pending += len(records)
        try:
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                placed = await self._confirmed(records)
        except TimeoutError:
            self._tell(False)
            self._telemetry.failed_writes.labels("timeout").inc()
            raise Problem("kafka-away", f"not confirmed within {CONFIRM_WITHIN_S:g} s", headers=_AWAY) from None
        except KafkaError as error:
            log.warning("write_failed", error=repr(error))
            self._tell(False)
            self._telemetry.failed_writes.labels("error").inc()
            raise Problem("kafka-away", type(error).__name__, headers=_AWAY) from error
        finally:
            self._pending -= len(records)
        self._telemetry.kafka_write_seconds.observe(time.perf_counter() - began)
        return placed

    async def watch(self) -> None:
        """Ask Kafka again and again whether it is there; a producer that has failed for good is replaced."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S[0] if self.available else PROBE_EVERY_S[1])
            try:
                async with asyncio.timeout(PROBE_WITHIN_S):
                    if self._failed:
                        failed, self._producer = self._producer, await self._connected()
                        await _stopped(failed)
                    self._tell(bool(await self._producer.client.force_metadata_update()))
            except (TimeoutError, KafkaError):
                self._tell(False)

    async def _confirmed(self, records: Sequence[NewRecord]) -> list[Placed | TooLarge]:
        futures: list[asyncio.Future[Any]] = []
        for record in records:
            futures.append(await self._producer.send(record.topic, record.value, record.key, record.partition))
        placed: list[Placed | TooLarge] = []
        for told in await asyncio.gather(*futures, return_exceptions=True):
            if isinstance(told, MessageSizeTooLargeError):
                placed.append(TooLarge())
            elif isinstance(told, BaseException):
                raise told
            else:
                placed.append(Placed(told.partition, told.offset, told.timestamp))
        return placed

    async def _connected(self) -> Any:
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

    @property
    def _failed(self) -> bool:
        """Whether the producer's own task has ended: it then refuses everything."""
        task = sender_task(self._producer)
        return task is None or task.done()

    def _tell(self, available: bool) -> None:
        if available != self.available:
            log.info("kafka_available" if available else "kafka_away")
        self.available = available
        self._telemetry.kafka_available.set(available)


async def _stopped(producer: Any) -> None:
    if producer is not None:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                await producer.stop()
