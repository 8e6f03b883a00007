"""The retry loop of code that waits for Kafka without a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import KafkaError

from streams.errors import KafkaAway

T = TypeVar("T")
AWAY: tuple[type[Exception], ...] = (KafkaError, KafkaAway)


async def until_kafka_answers(
    attempt: Callable[[], Awaitable[T]],
    pause_s: float,
    *,
    away: tuple[type[Exception], ...] = AWAY,
    on_away: Callable[[Exception], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return what ``attempt`` returns, and retry while it raises one of ``away``.

    Retries are ``pause_s`` seconds apart. Before each pause, ``on_away`` is called with the error,
    to log it. Any other error, and a cancellation, passes through.
    """
    while True:
        try:
            return await attempt()
        except away as error:
            on_away(error)
        await sleep(pause_s)
