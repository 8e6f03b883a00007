"""Writes the outputs of a unit and commits its offsets: at least once, or in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.delivery.publisher import send, send_filled
from streams.engine.producer import LeasedSender, Member, close_unflushed
from streams.engine.transactions import FencedSender, Membership, commit_as
from streams.engine.upstream import batch_append, become, close_batch
from streams.errors import Abandoned
from streams.intake.rekeying import Dated, Unit
from streams.kafka.connection import connection
from streams.kafka.permissions import NotAllowed
from streams.kafka.retry import TEMPORARY, patiently
from streams.kafka.topics import BATCH_BYTES
from streams.settings import Settings

log = structlog.get_logger(__name__)

TRANSACTION_LOST = (*TEMPORARY, ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState)
"""Errors after which a new producer starts again: the outcome of the transaction is Kafka's."""


class Delivery(Protocol):
    """How the outputs of a unit and its offsets get to Kafka."""

    async def start(self) -> None:
        """Connect, before the first unit. Waits while Kafka is away."""
        ...

    async def deliver(self, unit: Unit, membership: Membership) -> None:
        """Write the outputs, and commit the offsets once all are confirmed.

        ``membership`` is that of the poll. Raises `Abandoned` if the offsets were not committed;
        the caller then reads on at the committed offsets.
        """
        ...

    async def stop(self) -> None:
        """Disconnect. Call when no unit is in flight."""
        ...


class AtLeastOnce:
    """`Delivery` by an idempotent producer: after a crash, the outputs of a unit come again.

    The producer sends nothing unless the group has recently confirmed ``member``. An intake that
    was frozen would otherwise write its unit again after another one has written it, and after so
    many other events that the worker does not recognise the repeat.
    """

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, member: Member) -> None:
        self._settings, self._consumer, self._member = settings, consumer, member
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; see `Delivery`."""
        self._producer = await patiently(self._started, "the producer")

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**_config(self._settings), enable_idempotence=self._settings.idempotent)
        sender = become(producer, LeasedSender)
        sender.member, sender.on_lost = self._member, _nothing
        await _start(producer)
        return producer

    async def deliver(self, unit: Unit, membership: Membership) -> None:
        """Write, then commit; see `Delivery`."""
        producer: AIOKafkaProducer = self._producer  # `start` has set it
        try:
            await patiently(partial(_send, producer, unit), "the outputs")
        except Abandoned:  # the lease was lost, and its producer cannot continue
            await close_unflushed(producer)
            await self.start()
            raise
        await self._commit(unit)

    async def _commit(self, unit: Unit) -> None:
        try:
            await self._consumer.commit(_offsets(unit))
        except (CommitFailedError, IllegalStateError) as error:  # the group has given the partitions to another member
            raise Abandoned from error

    async def stop(self) -> None:
        """Disconnect; see `Delivery`."""
        if self._producer is not None:
            await self._producer.stop()


class ExactlyOnce:
    """`Delivery` in one transaction per unit, fenced by the group's generation.

    ``name`` is the transactional id, which no other process may use.
    """

    def __init__(self, settings: Settings, group: str, name: str) -> None:
        self._settings, self._group, self._name = settings, group, name
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; see `Delivery`. The broker ends a transaction of the same transactional id."""
        self._producer = await patiently(self._started, "the transactions")

    async def _started(self) -> AIOKafkaProducer:
        settings = self._settings
        producer = AIOKafkaProducer(
            **_config(settings), transactional_id=self._name, transaction_timeout_ms=settings.transaction_timeout_ms
        )
        become(producer, FencedSender)
        try:
            await _start(producer)
        except TransactionalIdAuthorizationFailed as error:
            raise NotAllowed(
                f"transactional id {self._name}: this user may not WRITE; docs/operations.md lists what it needs"
            ) from error
        return producer

    async def deliver(self, unit: Unit, membership: Membership) -> None:
        """Write and commit all of it or nothing; see `Delivery`."""
        producer: AIOKafkaProducer = self._producer  # `start` has set it
        try:
            commit_as(producer, membership)
            await producer.begin_transaction()
            await _send(producer, unit)
            await producer.send_offsets_to_transaction(_offsets(unit), self._group)
            await producer.commit_transaction()
        except (Abandoned, *TRANSACTION_LOST) as error:
            log.warning("transaction_lost", reason=repr(error))
            await close_unflushed(producer)
            await self.start()
            raise Abandoned from error

    async def stop(self) -> None:
        """Disconnect; see `Delivery`."""
        if self._producer is not None:
            await self._producer.stop()


def _nothing() -> None:
    """Do nothing when the partitions are lost: `AtLeastOnce.deliver` gets `Abandoned`."""


async def _start(producer: AIOKafkaProducer) -> None:
    """Start a producer, or close it if that fails."""
    try:
        await producer.start()
    except BaseException:
        await close_unflushed(producer)
        raise


def _config(settings: Settings) -> dict[str, object]:
    return connection(settings) | {"acks": "all", "max_batch_size": BATCH_BYTES, "max_request_size": 2 * BATCH_BYTES}


def _offsets(unit: Unit) -> dict[TopicPartition, int]:
    return {TopicPartition(*where): offset for where, offset in unit.offsets.items()}


async def _send(producer: AIOKafkaProducer, unit: Unit) -> None:
    """Send the events and the dead letters of a unit. Returns when all are confirmed."""
    await send_filled(producer, _fill, unit.events)
    await send(producer, unit.letters)


def _fill(batch: BatchBuilder, records: Sequence[Dated], now: int) -> int:
    """Fill a batch with records of times of their own; see `streams.delivery.publisher.Fill`."""
    append, count = batch_append(batch), 0
    for key, value, headers, at in records:
        if append(count, at, key, value, headers) is None:
            break
        count += 1
    close_batch(batch, count)
    return count
