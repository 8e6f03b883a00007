"""The learner's epochs, and what it does while Kafka is away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.kafka.connection import NoBroker
from streams.learning import learner
from streams.learning.learner import Learner


def a_learner(place: Any, group: Any) -> Learner:
    settings: Any = SimpleNamespace(model="popularity", snapshot_every_s=60.0)
    nothing: Any = None
    return Learner(settings, place, nothing, nothing, nothing, group, nothing)


def test_epochs_rise_also_where_generations_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "model_name", lambda _: "model")
    place, group = SimpleNamespace(epoch=0), SimpleNamespace(generation=0)

    def epoch(made: Learner, generation: int) -> int:
        group.generation = generation
        made._begin_epoch()
        place.epoch = max(place.epoch, made._epoch)  # everybody follows
        return made._epoch

    first = a_learner(place, group)
    assert [epoch(first, generation) for generation in (1, 2, 7)] == [1, 2, 7]
    second = a_learner(place, group)
    assert epoch(second, 8) == 8
    again = a_learner(place, group)
    assert [epoch(again, generation) for generation in (1, 2)] == [9, 10], "the group was deleted meanwhile"
    assert epoch(a_learner(place, group), 3) > 10


def test_no_two_learners_have_one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "model_name", lambda _: "model")
    group = SimpleNamespace(generation=0)
    places = [SimpleNamespace(epoch=50) for _ in range(3)]
    learners, told = [a_learner(place, group) for place in places], [50]
    for generation in range(1, 20):
        group.generation, number = generation, generation % 3
        learners[number]._begin_epoch()
        told.append(learners[number]._epoch)
        for place in places:
            place.epoch = told[-1]
    assert told == sorted(set(told))


@pytest.mark.parametrize("away", [NoBroker("nobody"), KafkaConnectionError("refused")])
async def test_a_learner_waits_for_kafka(monkeypatch: pytest.MonkeyPatch, away: Exception) -> None:
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
