"""The retry loop: it retries while Kafka is away, and passes everything else through."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from streams.kafka.connection import NoBroker
from streams.kafka.retry import until_kafka_answers


class Kafka:
    """Raises these errors one after the other, then answers. ``pauses`` are the waits between."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []

    async def answer(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def test_it_retries_after_a_pause_until_kafka_answers() -> None:
    errors = [KafkaConnectionError("gone"), NoBroker("still gone")]
    kafka, seen = Kafka(*errors), list[Exception]()
    assert await until_kafka_answers(kafka.answer, 0.25, on_away=seen.append, sleep=kafka.sleep) == "answer"
    assert kafka.pauses == [0.25, 0.25]
    assert seen == errors


async def test_an_answer_comes_without_a_pause() -> None:
    kafka = Kafka()
    assert await until_kafka_answers(kafka.answer, 9.0, sleep=kafka.sleep) == "answer"
    assert kafka.pauses == []


@pytest.mark.parametrize("error", [ValueError("wrong"), asyncio.CancelledError(), KafkaTimeoutError("late")])
async def test_other_errors_pass_through(error: BaseException) -> None:
    kafka = Kafka(error)
    with pytest.raises(type(error)):
        await until_kafka_answers(kafka.answer, 9.0, away=(KafkaConnectionError,), sleep=kafka.sleep)
    assert kafka.pauses == []
