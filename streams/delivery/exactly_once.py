"""Exactly-once delivery: a unit's outputs, its changelog and its offsets in one Kafka transaction.

The offsets come last, and the broker accepts them from the group's current generation only
(KIP-447): a zombie's offsets are rejected, and everything that it sent in the transaction is
aborted. The recovery of a new owner reads the changelog to its present end. So it waits for the
outcome of a transaction that a dead owner left open: until the transaction times out, or until the
dead worker restarts under the same transactional id.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, TransactionalIdAuthorizationFailed

from streams.delivery.foreign import gaps
from streams.delivery.publisher import Placed, send
from streams.engine.producer import close_unflushed
from streams.errors import Abandoned
from streams.kafka.connection import connection
from streams.kafka.outbox import Outbox
from streams.kafka.permissions import NotAllowed
from streams.kafka.retry import until_kafka_answers
from streams.sessions.store import Changes, SessionStore, changelog
from streams.settings import Settings

log = structlog.get_logger(__name__)

ID_FILE = "worker-id"
RETRY_S = 0.25


class ExactlyOnceDelivery:
    """`streams.pipeline.Delivery` by one transactional producer.

    ``new_producer`` makes a producer that is not started. ``fence(producer, generation)`` sets the
    member of the group in whose name its offsets are committed. ``may_send(generation)`` waits
    until the group has answered, and returns whether the partitions are still ours. ``committed``
    gets the offsets per partition after each commit. ``timed`` times the transaction.
    """

    def __init__(
        self,
        settings: Settings,
        store: SessionStore,
        new_producer: Callable[[], AIOKafkaProducer],
        fence: Callable[[AIOKafkaProducer, int], None],
        may_send: Callable[[int], Awaitable[bool]],
        committed: Callable[[Mapping[int, int]], None],
        timed: AbstractContextManager[None],
    ) -> None:
        self._events, self._changelog = settings.topic("events"), settings.topic("sessions-changelog")
        self._group = settings.app_id
        self._store, self._new_producer, self._fence = store, new_producer, fence
        self._may_send, self._committed, self._timed = may_send, committed, timed
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Start a producer. The broker then ends the transaction that the last one left."""
        self._producer = await until_kafka_answers(self._started, RETRY_S, on_away=_log_away)

    async def _started(self) -> AIOKafkaProducer:
        producer = self._new_producer()
        try:
            await producer.start()
        except KafkaError:
            await close_unflushed(producer)
            raise
        return producer

    async def stop(self) -> None:
        """Stop the producer. Call when no unit is in flight."""
        if self._producer is not None:
            await self._producer.stop()

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Deliver all of a unit or nothing of it; see `streams.pipeline.Delivery`."""
        if not await self._may_send(generation):
            raise Abandoned
        done = {partition: of_partition.watermark + 1 for partition, of_partition in changes.items()}
        try:
            with self._timed:
                placed = await self._transact(outputs, changelog(self._changelog, changes), done, generation)
        except (Abandoned, KafkaError) as error:
            if not isinstance(error, Abandoned) and await self._may_send(generation):
                raise
            await self._replace()
            raise Abandoned from error
        self._committed(done)
        last = {partition: placed[self._changelog, partition] for partition in changes}
        for partition, ours in last.items():
            # only for the error that it may raise: the gaps are markers of transactions
            gaps(self._store.changelog_offset(partition), ours)
        return {partition: ours[-1].stop - 1 for partition, ours in last.items()}

    async def _transact(self, outputs: Outbox, changes: Outbox, done: Mapping[int, int], generation: int) -> Placed:
        """Send a unit in one transaction. Returns where it was placed.

        The offsets are sent only once everything else is confirmed. If the broker accepts them,
        this worker still owns the partitions, so the next owner reads all of it.
        """
        producer: AIOKafkaProducer = self._producer  # `start` or `_replace` has set it
        self._fence(producer, generation)
        await producer.begin_transaction()
        placed = await send(producer, outputs, changes)
        offsets = {TopicPartition(self._events, partition): offset for partition, offset in done.items()}
        await producer.send_offsets_to_transaction(offsets, self._group)
        await producer.commit_transaction()
        return placed

    async def _replace(self) -> None:
        """Replace the producer. The start of the new one aborts the old one's transaction."""
        old, self._producer = self._producer, None
        await close_unflushed(old)
        await self.start()


def _log_away(error: Exception) -> None:
    log.warning("no_transactions", reason=repr(error))


def transactional_id(settings: Settings) -> str:
    """Return a worker's transactional id: the group's name and the worker's name.

    The worker's name is that of its static membership, or a random one in its data directory.
    """
    if settings.instance_id:
        return f"{settings.app_id}-{settings.instance_id}"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    file = settings.data_dir / ID_FILE
    if not file.is_file():
        file.write_text(uuid.uuid4().hex)
    return f"{settings.app_id}-{file.read_text().strip()}"


async def end_left_open(settings: Settings) -> None:
    """End the transaction that this worker's last process left open. Raises `NotAllowed`.

    Call it before anything slow, because other workers may be waiting for the outcome.
    """
    timeout_ms, name = settings.transaction_timeout_ms, transactional_id(settings)
    producer = AIOKafkaProducer(**connection(settings), transactional_id=name, transaction_timeout_ms=timeout_ms)
    try:
        await producer.start()
    except TransactionalIdAuthorizationFailed as error:
        raise NotAllowed(f"transactional id {name}: this user may not WRITE; docs/operations.md lists what it needs") from error
    finally:
        await producer.stop()
