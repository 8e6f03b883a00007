"""The life of a trainer in a process of its own: `python -P -m streams.training DESCRIPTOR`.

The worker that the group has elected starts it, or `ouzel learner`: see `child`. It ends with that
process, whatever ends it, because its end of the channel is closed then. It may be killed at any
moment: the next one restores the newest snapshot, and learns the log after it again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque

import structlog

from streams.engine.pulse import guard_loop
from streams.errors import FAILED, OK, exit_code_at_work
from streams.learning.model_thread import ModelThread
from streams.leaving import end_now
from streams.observing.logs import set_up
from streams.observing.telemetry import Telemetry
from streams.settings import Settings, load_settings
from streams.tasks import Tasks
from streams.training.channel import Channel, Order, Report
from streams.training.relay import measure, report_of
from streams.training.sending import started_sender
from streams.training.trainer import Trainer

log = structlog.get_logger(__name__)

REPORT_EVERY_S = 0.25
MOST_DURATIONS = 1000
"""Durations of steps that are reported at once."""
NICENESS = 5
"""Rankings and the broker are more urgent than training, where they share a processor."""


class TrainerLife:
    """One trainer process, from the first order to the end of the channel."""

    def __init__(self, settings: Settings, channel: Channel) -> None:
        self._settings, self._channel = settings, channel
        self._telemetry, self._thread, self._tasks = Telemetry(), ModelThread(), Tasks(fail)
        self._durations: deque[float] = deque(maxlen=MOST_DURATIONS)
        self._generation = -1
        self._trainer: Trainer | None = None

    async def run(self) -> None:
        """Train until the channel ends."""
        guard_loop(asyncio.get_running_loop(), self._settings.stall_timeout_s, fail)
        self._tasks.spawn(self._report())
        if (order := await self._channel.receive(Order)) is None:
            return
        self._generation = order.generation
        self._tasks.spawn(self._train())
        while (order := await self._channel.receive(Order)) is not None:
            self._generation = order.generation

    async def _train(self) -> None:
        send = await started_sender(self._settings)
        self._trainer = Trainer(
            self._settings, self._thread, self._telemetry, send, lambda: self._generation, self._durations.append, self._tasks
        )
        await self._trainer.run()

    async def _report(self) -> None:
        """Report from the beginning, so that the parent knows that this process is alive."""
        metrics = self._telemetry.model
        while True:
            training = self._trainer.training if self._trainer is not None else None
            report = Report({}, {})
            if training is not None:
                measure(metrics, training.model, training.reader.follower.lag)
                metrics.training_share.set(training.thinning.share)
                report = report_of(metrics, list(self._durations))
            if self._channel.send(report):
                self._durations.clear()
            await asyncio.sleep(REPORT_EVERY_S)


def fail(error: BaseException) -> None:
    """End the process at once. What was not published is learned again."""
    code = exit_code_at_work(error)
    if code == FAILED:
        log.error("trainer_failed", error=repr(error), exc_info=error)
    else:
        log.error("trainer_refused", reason=str(error))
    end_now(code)


def main(descriptor: int) -> None:
    """Run a trainer whose end of the channel is this file descriptor. Never returns."""
    os.nice(NICENESS)
    settings = load_settings()
    set_up(settings)

    async def live() -> None:
        await TrainerLife(settings, await Channel.on(socket.socket(fileno=descriptor))).run()

    try:
        asyncio.run(live())
    except Exception as error:
        fail(error)
    end_now(OK)
