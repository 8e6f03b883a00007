"""Checks whether the coordinator of the workers' group answers, with a client of its own."""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest

from streams.kafka.connection import connection
from streams.kafka.membership import NO_MEMBER
from streams.settings import Settings, SettingsError

WITHIN_S = 8.0


async def group_answers(settings: Settings) -> bool:
    """Return whether the group's coordinator answers a new client within `WITHIN_S`.

    The client sends a heartbeat of a member that does not exist. A coordinator that works answers
    that this is not a member; a coordinator that is still loading answers with another error.
    """
    try:
        client = AIOKafkaClient(**connection(settings))
    except SettingsError:  # a certificate file was removed since the start
        return False
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.bootstrap()
            if not client.cluster.brokers():  # a broker that has just restarted may not know any
                return False
            node = await client.coordinator_lookup(CoordinationType.GROUP, settings.app_id)
            if not await client.ready(node, group=ConnectionGroup.COORDINATION):
                return False
            nobody = HeartbeatRequest(settings.app_id, -1, "nobody")
            answer = await client.send(node, nobody, group=ConnectionGroup.COORDINATION)
            return answer.error_code in NO_MEMBER
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await client.close()
