"""The producer of the trainer. Its records need no lease: the epoch in each says whose it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaProducer

from streams.delivery.publisher import Placed, send
from streams.engine.producer import close_unflushed
from streams.kafka.connection import connection
from streams.kafka.outbox import Outbox
from streams.kafka.retry import patiently
from streams.kafka.topics import BATCH_BYTES
from streams.settings import Settings

Send = Callable[[Outbox], Awaitable[Placed]]
"""Sends records, and returns their offsets once Kafka has confirmed all of them."""


async def started_sender(settings: Settings) -> Send:
    """Return the function that sends, with a producer of its own. Waits while Kafka is away."""

    async def start() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **connection(settings), acks="all", enable_idempotence=settings.idempotent, max_batch_size=BATCH_BYTES,
            max_request_size=2 * BATCH_BYTES,
        )  # fmt: skip
        try:
            await producer.start()
        except BaseException:
            await close_unflushed(producer)
            raise
        return producer

    producer = await patiently(start, "the producer of the trainer")

    async def send_all(outbox: Outbox) -> Placed:
        return await send(producer, outbox)

    return send_all
