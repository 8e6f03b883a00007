"""The retry loop of code that waits for Kafka without a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiokafka.errors
import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError

from streams.errors import KafkaAway

log = structlog.get_logger(__name__)

PATIENT_S = 1.0
T = TypeVar("T")
AWAY: tuple[type[Exception], ...] = (KafkaError, KafkaAway)
TEMPORARY: tuple[type[Exception], ...] = (
    KafkaAway,
    KafkaTimeoutError,
    *(kind for kind in vars(aiokafka.errors).values() if isinstance(kind, type) and getattr(kind, "retriable", False)),
)
"""The errors of an outage. Any other, such as a missing permission, does not pass by waiting."""


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


async def patiently(attempt: Callable[[], Awaitable[T]], what: str) -> T:
    """Return what ``attempt`` returns, and retry it once a second for as long as Kafka is away.

    ``what`` names it in the log.
    """

    def on_away(error: Exception) -> None:
        log.warning("waits_for_kafka", what=what, reason=repr(error))

    return await until_kafka_answers(attempt, PATIENT_S, away=TEMPORARY, on_away=on_away)
