"""A worker's life in one process: check, rebuild, join, work, leave.

`streams.life` describes its states.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import TypeVar

import structlog

from streams.assembly import Application
from streams.data_dir import check_writable, disk_failure, lock
from streams.delivery.exactly_once import end_left_open
from streams.engine.pulse import guard_loop
from streams.errors import FAILED, OK, KafkaAway, Refused
from streams.events.catalogue import Catalogue
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import Follower
from streams.kafka.partitions import watch_partitions
from streams.kafka.permissions import not_allowed
from streams.kafka.retry import patiently
from streams.kafka.topic_checks import losses, topic_problems
from streams.kafka.topics import TopicsError, TopicState, as_described, describe_topics, events_retention_ms
from streams.learning.model import new_model
from streams.learning.model_thread import ModelThread
from streams.learning.ranking import ThreadRanker
from streams.learning.replica import Replica
from streams.learning.snapshots import Restored, model_name, position_to_start, restore_newest
from streams.learning.updates import Updates
from streams.leaving import end_now, log_end, stop_within
from streams.life import WorkerState
from streams.observing.endpoint import serve_metrics
from streams.observing.items import ItemReader
from streams.observing.telemetry import Telemetry
from streams.rules import event_decoder, hash_secret
from streams.sessions.deletion import Deleting
from streams.settings import Settings, SettingsError
from streams.tasks import Tasks
from streams.training.child import TrainerProcess
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 8.0
LOG_WITHIN_S = 5.0
GC_THRESHOLD = 100_000

T = TypeVar("T")
TopicStates = Mapping[str, TopicState | None]


class Worker:
    """One worker process. `run` is its life, in order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = event_decoder(settings)
        self.telemetry = Telemetry()
        self.telemetry.set_build(settings)
        self.catalogue = Catalogue()
        self._items = ItemReader(self.catalogue, self.telemetry.items.count_refused, self.telemetry.items.count_dropped)
        self._thread = ModelThread()
        self._stop = asyncio.Event()
        self._tasks = Tasks(self.fail)
        self._application: Application | None = None
        self._stopped = False

    async def run(self) -> int:
        """Live until SIGTERM or SIGINT, and return the exit code."""
        self._guard()
        with lock(self._settings.data_dir):
            check_writable(self._settings.data_dir)
            return await self._live()

    async def _live(self) -> int:
        topics = await self._check()
        if topics is None:
            return Refused.exit_code
        replica = await self._unless_stopped(self._rebuild())
        if replica is not None:
            application = await self._join(replica, topics)
            await self._work(replica, application)
            await self._leave(application)
        return OK

    @property
    def state(self) -> WorkerState:
        """The state that this worker is in."""
        if self._stopped:
            return WorkerState.STOPPED
        if self._stop.is_set():
            return WorkerState.LEAVING
        return WorkerState.STARTING if self._application is None else self._application.state

    def _guard(self) -> None:
        """Leave on SIGTERM and SIGINT, and fail if the event loop is blocked for too long."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        guard_loop(loop, self._settings.stall_timeout_s, self._fail_blocked)

    def _on_signal(self) -> None:
        """Begin to leave. From now on, a background task that fails does not end the process."""
        self._tasks.closing()
        self._stop.set()

    # Check

    async def _check(self) -> TopicStates | None:
        """Check topics and permissions, and return the topics.

        Returns ``None`` if a person has to change something first. Then the log names each problem.
        From here on, the settings have the number of partitions of the user's own events topic.
        """
        topics = await asyncio.to_thread(describe_topics, self._settings)
        settings = self._settings = as_described(self._settings, topics)
        for loss in losses(settings, topics):
            log.warning("topic_may_lose_records", problem=loss)
        if problems := topic_problems(settings, topics):
            for problem in problems:
                log.error("topics_refused", problem=problem)
            return None
        if problems := await asyncio.to_thread(not_allowed, settings, topics):
            for problem in problems:
                log.error("not_allowed", problem=problem)
            return None
        if settings.metrics_port:
            serve_metrics(self.telemetry.registry, settings.metrics_host, settings.metrics_port)
        if settings.delivery == "exactly_once":
            await patiently(partial(end_left_open, settings), "the last transaction")
        return topics

    # Rebuild

    async def _rebuild(self) -> Replica:
        """Restore the model from its topics and read the items, before joining the group.

        The newest snapshot comes first, then the updates and the transitions after it.
        """
        settings = self._settings
        model = new_model(settings)
        await self._thread.run(model.warmup)
        newest = partial(restore_newest, settings, model, self.telemetry)
        restored = await patiently(newest, "the snapshot") if model.step_size else None
        start = await patiently(partial(position_to_start, settings, restored), "the transitions")
        if restored is not None:
            model = restored.model
        items = Follower(settings.topic("items"), aiokafka_config(settings), self.apply_items)
        self._tasks.spawn(items.run())
        replica = Replica(settings, model, self._thread, self.telemetry, start)
        for follower in (items, *self._follow(replica, restored)):
            await follower.caught_up.wait()
        log.info("model_rebuilt", steps=model.steps, items=model.vocabulary_size, from_offset=start or 0)
        return replica

    def _follow(self, replica: Replica, restored: Restored | None) -> Sequence[Follower]:
        """Start the followers of `transitions` and `model-updates`, if the model learns at all."""
        if not replica.model.step_size:
            return ()
        settings = self._settings
        self._tasks.spawn(replica.run())
        first_update = 0
        if restored is not None:
            replica.epoch, first_update = restored.manifest.epoch, restored.manifest.updates_offset
        updates = Updates(
            settings.topic("model-updates"), aiokafka_config(settings), replica, self.telemetry, model_name(settings),
            start=first_update,
        )  # fmt: skip
        self._tasks.spawn(updates.follower.run())
        return replica.reader.follower, updates.follower

    async def _unless_stopped(self, work: Coroutine[None, None, T]) -> T | None:
        """Return what ``work`` returns, or cancel it on SIGTERM and return ``None``."""
        working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if working.done():
            return working.result()
        working.cancel()
        return None

    async def apply_items(self, records: Sequence[KafkaRecord]) -> None:
        """Take records of the items topic."""
        self._items.take(records)
        self.telemetry.items.catalogue.set(len(self.catalogue))

    def hidden(self) -> frozenset[str]:
        """Return the items that must not be shown now."""
        return self.catalogue.hidden(int(time.time() * 1000))

    # Join, work, leave

    async def _join(self, replica: Replica, topics: TopicStates) -> Application:
        """Join the consumer group, recover the sessions of our partitions, and let events flow."""
        settings = self._settings
        ranker = ThreadRanker(replica, self._thread, self.hidden, self.telemetry)
        deleting = Deleting(hash_secret(settings), events_retention_ms(settings, topics))
        self._tasks.spawn(watch_partitions(settings))
        application = self._application = Application(
            settings, self._decoder, ranker, self.hidden, self.telemetry, replica, deleting, self._tasks
        )
        await application.start()
        return application

    async def _work(self, replica: Replica, application: Application) -> None:
        """Process events until SIGTERM, and run the trainer whenever this worker is elected."""
        telemetry = self.telemetry
        if replica.model.step_size and self._settings.trainer == "elected":
            self._tasks.spawn(TrainerProcess(self._settings, telemetry.model, application).run())
        log.info("ready", items=replica.model.vocabulary_size, steps=replica.model.steps)
        _spare_the_collector()
        telemetry.process.ready.set(1)
        await self._stop.wait()
        telemetry.process.ready.set(0)

    async def _leave(self, application: Application) -> None:
        """Finish the current unit of work, commit, and leave the group."""
        self._tasks.cancel()
        await stop_within(STOP_WITHIN_S, application.stop(), self.fail)
        self._stopped = True
        log.info("stopped")

    # Errors

    def fail(self, error: BaseException) -> None:
        """End the process at once. Nothing is acknowledged: its records are read again."""
        code = log_end(disk_failure(error, self._settings.data_dir) or error, self.state)
        end_now(code)

    def _fail_blocked(self, error: BaseException) -> None:
        """Do the same as `fail`, from another thread.

        The loop may be blocked while it writes to the log, so logging has a time limit.
        """
        last = threading.Timer(LOG_WITHIN_S, os._exit, [FAILED])
        last.daemon = True
        last.start()
        self.fail(error)


def _spare_the_collector() -> None:
    """Exclude what start-up created from garbage collection, and collect rarely.

    A unit creates tens of thousands of objects, and reference counting frees all of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def run_worker(settings: Settings) -> int:
    """Run one worker in this process, and return its exit code.

    Raises `SettingsError`, `KafkaAway` and `TopicsError` if the worker cannot start; the command
    prints their one line.
    """

    async def main() -> int:
        worker = Worker(settings)
        try:
            return await worker.run()
        except (SettingsError, KafkaAway, TopicsError):
            raise
        except Exception as error:
            return log_end(disk_failure(error, settings.data_dir) or error, worker.state)

    return asyncio.run(main())
