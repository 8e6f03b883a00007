"""What a write raises when Kafka does not confirm it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, TopicAuthorizationFailedError

import serving.state.writer as module
from serving.state.telemetry import ServingTelemetry
from serving.state.writer import MOST_PENDING, NewRecord, NotConfirmed, TooLarge, TooManyPending, Writer, Written
from streams.errors import KafkaAway
from streams.settings import Settings

RECORD = NewRecord("events", b"ann", b"{}")


class Place:
    """What aiokafka returns for a confirmed record."""

    partition, offset, timestamp = 3, 7, 1000


class Producer:
    """A producer whose sends end with ``outcome``, or never if it is ``None``."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    async def start(self) -> None:
        """It is connected at once."""

    async def send(self, *record: object, headers: object = ()) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(self._outcome, Exception):
            future.set_exception(self._outcome)
        elif self._outcome is not None:
            future.set_result(self._outcome)
        return future


async def writer(outcome: Any, telemetry: ServingTelemetry) -> Writer:
    made = Writer(Settings(), telemetry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AIOKafkaProducer", lambda **_: Producer(outcome))
        await made.start()
    assert made.available
    return made


def failed(telemetry: ServingTelemetry, reason: str) -> float | None:
    return telemetry.registry.get_sample_value("ouzel_serve_failed_writes_total", {"reason": reason})


async def test_a_confirmed_record_has_its_place_and_a_large_one_none() -> None:
    telemetry = ServingTelemetry()
    assert await (await writer(Place, telemetry)).write([RECORD] * 2) == [Written(3, 7, 1000)] * 2
    assert await (await writer(MessageSizeTooLargeError(), telemetry)).write([RECORD]) == [TooLarge()]


async def test_what_kafka_does_not_confirm_raises_and_the_next_write_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONFIRM_WITHIN_S", 0.01)
    for outcome, reason in ((None, "timeout"), (KafkaTimeoutError(), "error")):
        telemetry = ServingTelemetry()
        tried = await writer(outcome, telemetry)
        with pytest.raises(NotConfirmed):
            await tried.write([RECORD])
        assert not tried.available
        assert failed(telemetry, reason) == 1
        with pytest.raises(NotConfirmed, match="nothing was sent"):
            await tried.write([RECORD])
        assert failed(telemetry, "away") == 1


async def test_a_topic_that_kafka_does_not_let_us_write_is_named_and_others_stay_writable() -> None:
    telemetry = ServingTelemetry()
    tried = await writer(TopicAuthorizationFailedError(), telemetry)
    with pytest.raises(NotConfirmed, match="does not let this server write to events: its user needs Write"):
        await tried.write([RECORD])
    assert tried.available
    assert failed(telemetry, "denied") == 1


async def test_too_many_pending_records_are_refused_before_anything_is_sent() -> None:
    telemetry = ServingTelemetry()
    full = await writer(Place, telemetry)
    with pytest.raises(TooManyPending):
        await full.write([RECORD] * (MOST_PENDING + 1))
    assert failed(telemetry, "full") == 1
    assert full.available
    assert await full.write([RECORD])


def test_both_errors_say_that_kafka_is_away() -> None:
    assert issubclass(NotConfirmed, KafkaAway)
    assert issubclass(TooManyPending, KafkaAway)
