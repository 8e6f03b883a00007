"""The learner's epochs, and a learner while Kafka does not answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from support.fake_log import Log, follow
from support.processes.running import fresh_settings

from streams.kafka.connection import NoBroker
from streams.learning import learner
from streams.learning.epochs import Epochs
from streams.learning.learner import Learner, make_replica
from streams.learning.model import new_model
from streams.learning.model_thread import ModelThread
from streams.learning.replica import ActiveReplica
from streams.observing.telemetry import Telemetry
from streams.tasks import Tasks


def test_epochs_rise_with_the_generation_while_the_group_exists() -> None:
    epochs = Epochs()
    assert [epochs.begin(generation, epochs.current) for generation in (1, 2, 7)] == [1, 2, 7]
    assert Epochs().begin(8, known=7) == 8, "another learner continues after the epochs in the log"


def test_epochs_rise_after_the_group_was_deleted() -> None:
    again = Epochs()
    assert [again.begin(generation, known=8) for generation in (1,)] == [9]
    assert again.begin(2, known=9) == 10
    assert Epochs().begin(3, known=10) > 10


def test_no_two_learners_share_an_epoch() -> None:
    learners, seen = [Epochs() for _ in range(3)], [50]
    for generation in range(1, 20):
        seen.append(learners[generation % 3].begin(generation, known=seen[-1]))
    assert seen == sorted(set(seen))


def a_learner(active: Any, group: Any) -> Learner:
    settings: Any = SimpleNamespace(model="popularity", snapshot_every_s=60.0)
    nothing: Any = None
    return Learner(settings, active, nothing, nothing, nothing, group, nothing)


@pytest.mark.parametrize("away", [NoBroker("no answer"), KafkaConnectionError("refused")])
async def test_a_learner_retries_until_kafka_answers(monkeypatch: pytest.MonkeyPatch, away: Exception) -> None:
    monkeypatch.setattr(learner, "model_name", lambda _: "model")
    monkeypatch.setattr(learner, "TICK_S", 0.0)
    monkeypatch.setattr(learner, "PUBLISH_EVERY_S", 0.0)
    made, turns, done = a_learner(SimpleNamespace(), SimpleNamespace()), 0, asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise away
        done.set()

    monkeypatch.setattr(made, "_turn", turn)
    task = asyncio.ensure_future(made.run())
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()


async def test_a_new_learner_that_catches_up_while_kafka_is_away_waits_and_then_learns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = Log(("start", KafkaConnectionError("refused")), ("end_offsets", KafkaTimeoutError("late")))
    log.end = 5
    follow(log, monkeypatch)
    restoring = [KafkaTimeoutError("late"), KafkaConnectionError("refused")]

    async def restore_newest(*_: Any) -> None:
        if restoring:
            raise restoring.pop(0)

    monkeypatch.setattr(learner, "restore_newest", restore_newest)
    monkeypatch.setattr(learner, "TICK_S", 0.0)
    monkeypatch.setattr(learner, "PUBLISH_EVERY_S", 0.0)
    settings, failures, nothing = fresh_settings("127.0.0.1:1", tmp_path, model="popularity"), list[BaseException](), Any
    thread, telemetry, tasks = ModelThread(), Telemetry(), Tasks(failures.append)
    follower = make_replica(settings, new_model(settings), thread, telemetry, None)
    follower.untouched = False  # so that the learner has to catch up on a replica of its own
    active = ActiveReplica(follower)
    group: Any = SimpleNamespace(elected=True, generation=1, rebalancing=False)
    tasks.spawn(Learner(settings, active, thread, telemetry, nothing, group, tasks).run())
    async with asyncio.timeout(20):
        while not (active.replica.learning or failures):
            await asyncio.sleep(0)
    assert failures == []
    assert active.replica is not follower
    assert active.replica.seen == 5
    assert (log.faults, restoring) == ([], [])
    await asyncio.gather(*tasks.cancel(), return_exceptions=True)
    thread.stop()
