"""An idempotent producer that sends nothing without the lease, retries included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka.producer.sender import Sender
from faust.transport.drivers import aiokafka as driver

from streams.engine.transactions import FencedSender
from streams.errors import Abandoned
from streams.kafka.retry import until_kafka_answers

RETRY_S = 0.25
CLOSE_WITHIN_S = 2.0


class LeasedSender(Sender):  # type: ignore[misc]
    """Checks the lease where requests are made: an idempotent producer retries without end, past any check before a send.

    Once the partitions are lost nothing leaves it any more: what it holds, and what it is given, fails as `Abandoned`.
    """

    app: Any
    on_lost: Callable[[], None]
    lost = False

    async def _send_produce_req(self, node_id: int, batches: Any) -> None:
        if await self._may_send():
            await super()._send_produce_req(node_id, batches)
            return
        if not self.lost:
            self.lost = True
            self.on_lost()
        for batch in batches.values():
            batch.failure(Abandoned())
            batch.future.exception()  # retrieved: whoever awaits it still gets it, and nobody need
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)

    async def _may_send(self) -> bool:
        """A fresh lease is enough: also in a rebalance the partitions are ours until we rejoin. A stale one waits for its end."""
        app, generation = self.app, self.app.consumer_generation_id
        return not self.lost and bool(await app.lease.wait(lambda: not self.lost and app.holds(generation))) and not self.lost


class IdempotentProducer(driver.Producer):
    """Confirmed by all replicas, without duplicates from retries."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._whole = asyncio.Event()
        self._whole.set()
        super().__init__(*args, **kwargs)

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": self.app.idempotent}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        """aiokafka makes its sender itself and lets nobody choose the class."""
        producer = self._counted(super()._new_producer(transactional_id))
        producer._sender.__class__ = LeasedSender
        producer._sender.app = self.app
        producer._sender.on_lost = self._on_lost
        return producer

    def new_transactional(self, transactional_id: str) -> Any:
        """A producer of transactions beside this one; see `FencedSender`."""
        producer = self._counted(super()._new_producer(transactional_id))
        producer._txn_manager.transaction_timeout_ms = self.app.transaction_timeout_ms
        producer._sender.__class__ = FencedSender
        return producer

    def _counted(self, producer: Any) -> Any:
        """Whatever the broker has not taken goes back through the accumulator, and is told there."""
        accumulator = producer._message_accumulator
        again = accumulator.reenqueue

        def reenqueue(batch: Any) -> None:
            self.app.on_retry()
            again(batch)

        accumulator.reenqueue = reenqueue
        return producer

    def _on_lost(self) -> None:
        self._whole.clear()
        self.add_future(self.discard())

    async def discard(self) -> None:
        """Put a new aiokafka producer in the place of the present one, whose unsent batches fail as `Abandoned`.

        A batch that was given up leaves a hole in the idempotent sequence, so its producer cannot go on. The sender calls this
        itself when it loses the lease.
        """
        self._whole.clear()
        old = self._ensure_producer()
        old._sender.lost = True
        new = self._new_producer()
        await until_kafka_answers(new.start, RETRY_S)
        self._producer = new
        self._whole.set()
        await close_unflushed(old)

    async def wait_whole(self) -> None:
        """Until no producer is being replaced."""
        await self._whole.wait()


def abandon() -> None:
    """In the place of a request for metadata, which whoever still waits for some makes next."""
    raise Abandoned


async def abandon_batch(*_: Any) -> None:
    """In the place of taking a batch, which whoever has the metadata does next."""
    raise Abandoned


async def close_unflushed(producer: Any) -> None:
    """Close an aiokafka producer without sending what it holds; ``stop`` would flush."""
    producer._closed = True
    producer._message_accumulator._closed = True
    producer._message_accumulator.add_batch = abandon_batch
    task = producer._sender.sender_task
    if task is not None:
        task.cancel()
    await producer.client.close()
    producer.client.force_metadata_update = abandon
    waiting = producer.client._md_update_fut
    if waiting is not None and not waiting.done():  # aiokafka leaves whoever waits for metadata waiting for ever
        waiting.set_result(False)
    if task is not None:
        await asyncio.wait({task}, timeout=CLOSE_WITHIN_S)
    producer._message_accumulator.fail_all(Abandoned())
