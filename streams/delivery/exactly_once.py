"""Exactly-once delivery: a unit's outputs, its changelog and its offsets in one Kafka transaction.

The offsets go in last, fenced by the group's generation (KIP-447): whatever a zombie has sent before is refused there, and
aborted. A new owner's recovery reads the changelog to its present end, so it waits for the outcome of whatever a dead owner
left open: the transaction's time-out, or the dead one's restart under the same transactional id.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, TransactionalIdAuthorizationFailed

from streams.delivery.foreign import gaps
from streams.delivery.publisher import send
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

    ``new_producer`` makes one that is to be started; ``fence(producer, generation)`` tells it as whom its offsets are to be
    committed; ``may_send(generation)`` says, once the group has been heard, whether the partitions are still ours; ``committed``
    is told the offsets per partition; ``timed`` times the transaction.
    """

    def __init__(
        self,
        settings: Settings,
        store: SessionStore,
        new_producer: Callable[[], Any],
        fence: Callable[[Any, int], None],
        may_send: Callable[[int], Awaitable[bool]],
        committed: Callable[[Mapping[int, int]], None],
        timed: AbstractContextManager[None],
    ) -> None:
        self._events, self._changelog = settings.topic("events"), settings.topic("sessions-changelog")
        self._group = settings.app_id
        self._store, self._new_producer, self._fence = store, new_producer, fence
        self._may_send, self._committed, self._timed = may_send, committed, timed
        self._producer: Any = None

    async def start(self) -> None:
        """Get a producer; the broker ends whatever the last one of this id left open."""
        self._producer = await until_kafka_answers(self._started, RETRY_S, on_away=_log_away)

    async def _started(self) -> Any:
        producer = self._new_producer()
        try:
            await producer.start()
        except KafkaError:
            await close_unflushed(producer)
            raise
        return producer

    async def stop(self) -> None:
        """Nothing is under way any more."""
        if self._producer is not None:
            await self._producer.stop()

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """All of it, or nothing."""
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
            gaps(self._store.changelog_offset(partition), ours)  # gaps are transaction markers here, but never backwards
        return {partition: ours[-1].stop - 1 for partition, ours in last.items()}

    async def _transact(
        self, outputs: Outbox, changes: Outbox, done: Mapping[int, int], generation: int
    ) -> dict[tuple[str, int], list[range]]:
        producer = self._producer
        self._fence(producer, generation)
        await producer.begin_transaction()
        placed = await send(producer, outputs, changes)
        # not before everything has been confirmed: once these offsets are accepted, all of it lies below the ends that the next
        # owner of the partitions reads to
        offsets = {TopicPartition(self._events, partition): offset for partition, offset in done.items()}
        await producer.send_offsets_to_transaction(offsets, self._group)
        await producer.commit_transaction()
        return placed

    async def _replace(self) -> None:
        old, self._producer = self._producer, None
        await close_unflushed(old)
        await self.start()


def _log_away(error: Exception) -> None:
    log.warning("no_transactions", reason=repr(error))


def transactional_id(settings: Settings) -> str:
    """The group's name and the worker's: its static membership, or what its data directory remembers."""
    if settings.instance_id:
        return f"{settings.app_id}-{settings.instance_id}"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    file = settings.data_dir / ID_FILE
    if not file.is_file():
        file.write_text(uuid.uuid4().hex)
    return f"{settings.app_id}-{file.read_text().strip()}"


async def end_left_open(settings: Settings) -> None:
    """End what this worker's last process left open, before anything slow: others may be waiting for it. Raises `NotAllowed`."""
    timeout_ms, name = settings.transaction_timeout_ms, transactional_id(settings)
    producer = AIOKafkaProducer(**connection(settings), transactional_id=name, transaction_timeout_ms=timeout_ms)
    try:
        await producer.start()
    except TransactionalIdAuthorizationFailed as error:
        raise NotAllowed(f"transactional id {name}: this user may not WRITE; docs/operations.md has the list") from error
    finally:
        await producer.stop()
