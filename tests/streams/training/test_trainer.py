"""A trainer while Kafka does not answer, and the epochs that it begins."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from support.fake_log import Log, follow
from support.processes.running import fresh_settings

from streams.kafka.connection import NoBroker
from streams.kafka.outbox import Outbox
from streams.learning.model_thread import ModelThread
from streams.observing.telemetry import Telemetry
from streams.tasks import Tasks
from streams.training import trainer
from streams.training.trainer import Trainer


class Kafka:
    """What a trainer sends; ``faults`` are raised first, one by one."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.sent = list(faults), list[Outbox]()

    async def send(self, outbox: Outbox) -> dict[tuple[str, int], list[range]]:
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(outbox)
        return {where: [range(1)] for where in outbox}


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("away", [NoBroker("no answer"), KafkaConnectionError("refused"), KafkaTimeoutError("late")])
async def test_a_trainer_waits_for_kafka_and_then_trains_publishes_and_begins_an_epoch_per_generation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, away: Exception
) -> None:
    log = Log(("start", KafkaConnectionError("refused")), ("end_offsets", KafkaTimeoutError("late")))
    log.end = 5
    follow(log, monkeypatch)
    restoring, known = [away, away], [8, 8, 12]

    async def restore_newest(*_: Any) -> None:
        if restoring:
            raise restoring.pop(0)

    async def known_epoch(*_: Any) -> int:
        return known.pop(0)

    async def nothing(*_: Any) -> None:
        """No snapshot."""

    monkeypatch.setattr(trainer, "restore_newest", restore_newest)
    monkeypatch.setattr(trainer, "known_epoch", known_epoch)
    monkeypatch.setattr(Trainer, "_snapshot", nothing)
    monkeypatch.setattr(trainer, "TICK_S", 0.0)
    monkeypatch.setattr(trainer, "RETRY_S", 0.0)
    settings, failures = fresh_settings("127.0.0.1:1", tmp_path, model="popularity", model_updates_ms=20), list[BaseException]()
    kafka, thread, tasks, generation = Kafka(away), ModelThread(), Tasks(failures.append), 3
    made = Trainer(settings, thread, Telemetry(), kafka.send, lambda: generation, lambda _: None, tasks)
    tasks.spawn(made.run())
    await until(lambda: kafka.sent or failures)
    assert failures == []
    assert (log.faults, restoring, kafka.faults) == ([], [], [])
    assert made._epochs.current == 11, "above the epochs that are in the log"
    assert made.training is not None
    assert made.training.reader.seen == 5
    generation = 4
    await until(lambda: len(kafka.sent) > 1)
    assert made._epochs.current == 12
    generation = 5
    await until(lambda: len(kafka.sent) > 2)
    assert made._epochs.current > 12, "another trainer has published meanwhile"
    await asyncio.gather(*tasks.cancel(), return_exceptions=True)
    thread.stop()


async def test_a_snapshot_that_is_being_checked_does_not_cause_a_second_rollback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was frozen before the rollback. A second one so soon would reset all parameters."""
    checked, returned, thread, telemetry = threading.Event(), threading.Event(), ModelThread(), Telemetry()
    model = SimpleNamespace(steps=5, healthy=True, diverged=True)
    good = SimpleNamespace(steps=0, state=dict)
    writing = asyncio.Event()

    async def freeze() -> tuple[None, None]:
        writing.set()
        return None, None

    async def rollback(_: Any) -> None:
        model.diverged = False

    async def nothing(*_: Any) -> None:
        return None

    def all_finite(_: Any) -> bool:
        checked.wait(10)
        returned.set()
        return False

    monkeypatch.setattr(trainer, "restore_newest", nothing)
    monkeypatch.setattr(trainer, "new_model", lambda _: good)
    monkeypatch.setattr(trainer, "model_name", lambda _: "model")
    monkeypatch.setattr(trainer, "all_finite", all_finite)
    monkeypatch.setattr(Trainer, "_updates_end", nothing)
    settings, tasks = fresh_settings("127.0.0.1:1", tmp_path, model_updates_ms=60_000), Tasks(lambda _: None)
    made = Trainer(settings, thread, telemetry, Kafka().send, lambda: 3, lambda _: None, tasks)
    made._epochs.generation = 3
    made._epoch_begun.set()
    training: Any = SimpleNamespace(model=model, freeze=freeze, rollback=rollback)
    writer: Any = SimpleNamespace(written_steps=0, write=nothing)
    tasks.spawn(made._write_snapshots(training, writer))
    await asyncio.wait_for(writing.wait(), 10)
    turn = asyncio.ensure_future(made._turn(training, writer))
    await asyncio.sleep(0.05)  # the turn begins while the snapshot is checked
    checked.set()
    await asyncio.wait_for(turn, 10)
    await asyncio.to_thread(returned.wait, 10)
    for _ in range(10):  # the loop takes what that thread has returned
        await asyncio.sleep(0)
    await made._turn(training, writer)
    assert telemetry.registry.get_sample_value("ouzel_rollbacks_total") == 1
    await asyncio.gather(*tasks.cancel(), return_exceptions=True)
    thread.stop()
