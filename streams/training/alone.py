"""The life of `ouzel learner` in one process: check, join, run the trainer, leave.

The trainer itself is a child of this process, as it is of a worker.
"""

from __future__ import annotations

import asyncio
import signal

import structlog

from streams.engine.pulse import guard_loop
from streams.errors import OK, KafkaAway, Refused
from streams.kafka.permissions import LEARNER_NEEDS, NEEDED_ON_EACH, lacking
from streams.kafka.topic_checks import topic_problems
from streams.kafka.topics import TopicsError, as_described, describe_topics
from streams.leaving import end_now, log_end, stop_within
from streams.life import WorkerState
from streams.observing.endpoint import serve_metrics
from streams.settings import Settings, SettingsError
from streams.tasks import Tasks
from streams.training.child import TrainerProcess
from streams.training.election import Election
from streams.training.telemetry import LearnerTelemetry

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 8.0
LOOK_EVERY_S = 0.5


class Learner:
    """One process of `ouzel learner`. `run` is its life, in order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.telemetry = LearnerTelemetry(settings)
        self._stop = asyncio.Event()
        self._tasks = Tasks(self.fail)
        self.state = WorkerState.STARTING

    async def run(self) -> int:
        """Live until SIGTERM or SIGINT, and return the exit code."""
        loop, settings = asyncio.get_running_loop(), self._settings
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        guard_loop(loop, settings.stall_timeout_s, self.fail)
        if problems := await asyncio.to_thread(self._problems):
            for problem in problems:
                log.error("learner_refused", problem=problem)
            return Refused.exit_code
        if settings.metrics_port:
            serve_metrics(self.telemetry.registry, settings.metrics_host, settings.metrics_port)
        self.state = WorkerState.WORKING
        election = Election(self._settings)
        for work in (election.run(), TrainerProcess(self._settings, self.telemetry.model, election).run(), self._watch(election)):
            self._tasks.spawn(work)
        log.info("ready", group=settings.learner_group)
        self.telemetry.ready.set(1)
        await self._stop.wait()
        self.telemetry.ready.set(0)
        self.state = WorkerState.LEAVING
        await stop_within(STOP_WITHIN_S, self._leave(election), self.fail)
        self.state = WorkerState.STOPPED
        log.info("stopped")
        return OK

    def _problems(self) -> list[str]:
        """Return what a person has to change first, one line each."""
        settings = self._settings
        topics = describe_topics(settings)
        settings = self._settings = as_described(settings, topics)
        needed = {settings.topic(name): (*operations, NEEDED_ON_EACH) for name, operations in LEARNER_NEEDS.items()}
        return topic_problems(settings, topics) or lacking(settings, topics, needed, settings.learner_group, "the learner")

    def _on_signal(self) -> None:
        self._tasks.closing()
        self._stop.set()

    async def _watch(self, election: Election) -> None:
        while True:
            self.telemetry.model.is_learner.set(election.elected)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _leave(self, election: Election) -> None:
        """End the trainer, then leave the group: the next one may begin."""
        await asyncio.gather(*self._tasks.cancel(), return_exceptions=True)
        await election.leave()

    def fail(self, error: BaseException) -> None:
        """End the process at once. The trainer ends with it."""
        code = log_end(error, self.state)
        end_now(code)


def run_learner(settings: Settings) -> int:
    """Run `ouzel learner` in this process, and return its exit code.

    Raises `SettingsError`, `KafkaAway` and `TopicsError` if it cannot start; the command prints
    their one line.
    """

    async def main() -> int:
        learner = Learner(settings)
        try:
            return await learner.run()
        except (SettingsError, KafkaAway, TopicsError):
            raise
        except Exception as error:
            return log_end(error, learner.state)

    return asyncio.run(main())
