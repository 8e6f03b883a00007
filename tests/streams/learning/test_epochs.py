"""The learner's epochs, and a learner while Kafka does not answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.kafka.connection import NoBroker
from streams.learning import learner
from streams.learning.epochs import Epochs
from streams.learning.learner import Learner


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
