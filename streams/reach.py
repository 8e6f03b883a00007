"""Whether the workers' group can be reached, asked by a client of its own."""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError

from streams.kafka import connection
from streams.settings import Settings

WITHIN_S = 8.0


async def group_answers(settings: Settings) -> bool:
    """Whether a client that begins now reaches the coordinator of the workers' group."""
    client = AIOKafkaClient(**connection(settings))
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.bootstrap()
            if not client.cluster.brokers():  # it has just come back and knows nobody yet, itself included
                return False
            node = await client.coordinator_lookup(CoordinationType.GROUP, settings.app_id)
            return bool(await client.ready(node, group=ConnectionGroup.COORDINATION))
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await client.close()
