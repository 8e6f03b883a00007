"""An idempotent producer that sends nothing without the lease, retries included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import MessageBatch
from aiokafka.producer.sender import Sender
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver

from streams.engine import upstream
from streams.engine.lease import Lease
from streams.engine.transactions import FencedSender
from streams.errors import Abandoned
from streams.kafka.retry import TEMPORARY, patiently, until_kafka_answers

if TYPE_CHECKING:  # the app imports this module
    from streams.engine.faust_app import App

RETRY_S = 0.25
CLOSE_WITHIN_S = 2.0


class Member(Protocol):
    """The member of a group for whose partitions a `LeasedSender` writes.

    The sender asks it before each request, on the event loop of the producer.
    """

    @property
    def lease(self) -> Lease:
        """When the group last confirmed the membership."""
        ...

    @property
    def consumer_generation_id(self) -> int:
        """The present generation of the group, as far as this member knows."""
        ...

    def holds(self, generation: int) -> bool:
        """Return whether the partitions of this generation may still be ours."""
        ...


class LeasedSender(Sender):  # type: ignore[misc]
    """Checks the lease before each request.

    A check before `send` is not enough, because an idempotent producer retries without end. Once
    the partitions are lost, the sender sends nothing more. The batches that it has, and those that
    it still gets, fail as `Abandoned`.
    """

    member: Member
    on_lost: Callable[[], None]
    lost = False

    async def _send_produce_req(self, node_id: int, batches: Mapping[TopicPartition, MessageBatch]) -> None:
        """Send under the lease only, and fail the batches if the partitions are lost.

        Upstream sends whatever it has.
        """
        if await self._may_send():
            await super()._send_produce_req(node_id, batches)
            return
        if not self.lost:
            self.lost = True
            self.on_lost()
        for batch in batches.values():
            batch.failure(Abandoned())
            batch.future.exception()  # marks it as retrieved, so that no caller has to await it
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)

    async def _may_send(self) -> bool:
        """Return whether the lease is fresh; wait while it is stale and may be renewed.

        A fresh lease is enough during a rebalance, too: the partitions are ours until we rejoin.
        """
        member, generation = self.member, self.member.consumer_generation_id
        return not self.lost and await member.lease.wait(lambda: not self.lost and member.holds(generation)) and not self.lost


class IdempotentProducer(driver.Producer):
    """Faust's producer, with confirmation by all replicas and without duplicates from retries."""

    app: App

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever arguments Faust's own takes."""
        self._whole = asyncio.Event()
        self._whole.set()
        super().__init__(*args, **kwargs)

    async def on_start(self) -> None:
        """Wait while Kafka is away; upstream would end the process."""
        try:
            await super().on_start()
        except TEMPORARY:
            await patiently(self.current.start, "the producer")

    @property
    def current(self) -> AIOKafkaProducer:
        """aiokafka's producer. `discard` replaces it, so do not keep a reference to it."""
        return self._ensure_producer()

    def _settings_extra(self) -> Mapping[str, object]:
        """Set idempotence and all replicas; upstream does so for its own transactions only."""
        return {"acks": "all", "enable_idempotence": self.app.idempotent}

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        """Give the new producer our sender and count its retries."""
        producer = self._counted(super()._new_producer(transactional_id))
        sender = upstream.become(producer, LeasedSender)
        sender.member = self.app
        sender.on_lost = self._on_lost
        return producer

    def new_transactional(self, transactional_id: str) -> AIOKafkaProducer:
        """Return a producer for transactions beside this one, not started; see `FencedSender`."""
        producer = self._counted(super()._new_producer(transactional_id))
        upstream.set_transaction_timeout(producer, self.app.transaction_timeout_ms)
        upstream.become(producer, FencedSender)
        return producer

    def _counted(self, producer: AIOKafkaProducer) -> AIOKafkaProducer:
        upstream.on_retry(producer, self.app.on_retry)
        return producer

    def _on_lost(self) -> None:
        self._whole.clear()
        self.add_future(self.discard())

    async def discard(self) -> None:
        """Replace aiokafka's producer. Batches that the old one has not sent fail as `Abandoned`.

        An abandoned batch leaves a gap in the idempotent sequence, so its producer cannot continue.
        The sender calls this when the partitions are lost.
        """
        self._whole.clear()
        old = self._ensure_producer()
        upstream.sender_of(old).lost = True
        new = self._new_producer()
        await until_kafka_answers(new.start, RETRY_S)
        self._producer = new
        self._whole.set()
        await close_unflushed(old)

    async def wait_whole(self) -> None:
        """Wait until no producer is being replaced."""
        await self._whole.wait()


def abandon() -> None:
    """Raise `Abandoned` in place of a request for metadata, which a waiting caller makes next."""
    raise Abandoned


async def abandon_batch(*_: object) -> None:
    """Raise `Abandoned` in place of adding a batch, which a caller with metadata does next."""
    raise Abandoned


async def close_unflushed(producer: AIOKafkaProducer) -> None:
    """Close an aiokafka producer without sending what it has; its own ``stop`` would flush.

    Every caller that waits for it, for metadata or for a confirmation, gets `Abandoned`.
    """
    upstream.take_no_more(producer, abandon_batch)
    task = upstream.sender_task(producer)
    if task is not None:
        task.cancel()
    await producer.client.close()
    producer.client.force_metadata_update = abandon
    update = upstream.metadata_update(producer.client)
    if update is not None and not update.done():  # otherwise its waiting callers would wait for ever
        update.set_result(False)
    if task is not None:
        await asyncio.wait({task}, timeout=CLOSE_WITHIN_S)
    upstream.fail_unsent(producer, Abandoned())
