"""Whether the workers' group can be reached, asked by a client of its own."""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest

from streams.engine.transactions import NO_MEMBER
from streams.kafka.connection import connection
from streams.settings import Settings, SettingsError

WITHIN_S = 8.0


async def group_answers(settings: Settings) -> bool:
    """Whether a client that begins now is told by the group's coordinator that it is no member of the workers' group."""
    try:
        client = AIOKafkaClient(**connection(settings))
    except SettingsError:  # a file of keys that has gone
        return False
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.bootstrap()
            if not client.cluster.brokers():  # it has just come back and knows nobody yet, itself included
                return False
            node = await client.coordinator_lookup(CoordinationType.GROUP, settings.app_id)
            if not await client.ready(node, group=ConnectionGroup.COORDINATION):
                return False
            nobody = HeartbeatRequest(settings.app_id, -1, "nobody")
            answer = await client.send(node, nobody, group=ConnectionGroup.COORDINATION)
            return answer.error_code in NO_MEMBER  # a coordinator that still loads says so instead
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await client.close()
