"""The channel between a trainer and its parent, and the metrics that cross it."""

from __future__ import annotations

import asyncio
import math
import socket

import pytest

from streams.observing.telemetry import Telemetry
from streams.training.channel import MOST_WAITING, Channel, Order, Report
from streams.training.relay import LEVELS, TOTALS, Relay, measure, report_of


async def test_messages_arrive_in_order_and_the_channel_ends_with_the_other_process() -> None:
    ours, its = map(Channel.on, socket.socketpair())
    parent, trainer = await ours, await its
    for generation in (3, 4):
        assert parent.send(Order(generation))
    assert [await trainer.receive(Order), await trainer.receive(Order)] == [Order(3), Order(4)]
    trainer.close()
    assert await asyncio.wait_for(parent.receive(Report), 5) is None


async def test_a_process_that_reads_nothing_holds_up_nobody() -> None:
    """It may be frozen. Messages for it are dropped, and the memory that they take is bounded."""
    ours, its = socket.socketpair()
    with its:
        parent = await Channel.on(ours)
        report = Report({"learned": 1.0}, {}, [0.1] * 1000)
        sent = 0
        while parent.send(report):
            sent += 1
            assert sent < 10_000
        assert parent._writer.transport.get_write_buffer_size() < MOST_WAITING + 10_000
        parent.close()


def sample(telemetry: Telemetry, name: str) -> float | None:
    return telemetry.registry.get_sample_value(name)


def test_the_metrics_of_a_trainer_are_shown_by_its_parent_and_counters_continue_with_the_next_trainer() -> None:
    shown = Telemetry()
    relay = Relay(shown.model)
    for learned in (100, 40):
        trainer = Telemetry()
        relay.begin()
        for _ in range(2):
            trainer.model.learned.inc(learned)
            trainer.model.update_bytes.inc(10)
            measure(trainer.model, None, lag=7)
            trainer.model.loss.set(2.5)
            relay.take(report_of(trainer.model, [0.25]))
        assert sample(shown, "ouzel_learner_lag") == 7
        assert sample(shown, "ouzel_trainer_up") == 1
        assert (sample(shown, "ouzel_trainer_resident_memory_bytes") or 0) > 1e6
        relay.end()
    assert sample(shown, "ouzel_transitions_learned_total") == 280
    assert sample(shown, "ouzel_model_update_bytes_total") == 40
    assert sample(shown, "ouzel_learning_step_seconds_count") == 4
    assert sample(shown, "ouzel_model_busy_seconds_total") is None, "it has a label"
    assert shown.registry.get_sample_value("ouzel_model_busy_seconds_total", {"work": "learn"}) == 1.0
    assert sample(shown, "ouzel_loss") == 2.5
    assert (sample(shown, "ouzel_trainer_up"), sample(shown, "ouzel_learner_lag")) == (0, 0)


@pytest.mark.parametrize("name", [*TOTALS, *LEVELS])
def test_each_relayed_metric_exists_and_has_no_labels(name: str) -> None:
    (family,) = getattr(Telemetry().model, name).collect()
    assert [sample.labels for sample in family.samples if sample.name.endswith(("_total", family.name))] == [{}]


def test_a_value_that_is_not_finite_crosses_the_channel() -> None:
    trainer, shown = Telemetry(), Telemetry()
    trainer.model.loss.set(math.nan)
    Relay(shown.model).take(report_of(trainer.model, []))
    assert math.isnan(sample(shown, "ouzel_loss") or 0.0)
