"""The service of `ouzel serve` while Kafka is away at its start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from support.fake_log import Log, follow
from support.processes.running import fresh_settings

from serving.state.experts import Experts
from serving.state.keys import Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from streams.events.decode import EventDecoder
from streams.kafka.follower import Follower


async def test_it_waits_and_becomes_ready_once_kafka_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    follow(Log(("start", KafkaConnectionError("refused"))), monkeypatch)
    connecting, restoring, failures = [KafkaConnectionError("refused")] * 2, [KafkaTimeoutError("late")], list[BaseException]()

    async def connect() -> None:
        if connecting:
            raise connecting.pop()

    async def apply(_: object) -> None: ...

    async def restored(*_: object) -> Any:
        if restoring:
            raise restoring.pop()
        return SimpleNamespace(follower=Follower("transitions", {}, apply))

    async def watch() -> None: ...

    settings = fresh_settings("127.0.0.1:1", tmp_path)
    service = Service(settings, Keys(None), EventDecoder(), ServingTelemetry("shop"), failures.append)
    monkeypatch.setattr(service.writer, "start", connect)
    monkeypatch.setattr(service.writer, "watch", watch)
    monkeypatch.setattr(Experts, "restored", restored)
    service.start()
    async with asyncio.timeout(20):
        while not (service.ready or failures):
            await asyncio.sleep(0.01)
    assert failures == []
    assert (connecting, restoring) == ([], [])
    await service.stop()
