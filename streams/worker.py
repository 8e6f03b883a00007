"""The worker's life: check, rebuild, join the group, work, and leave it cleanly on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import structlog

from streams.app import Application
from streams.catalogue import Catalogue
from streams.decode import BadRecord, EventDecoder, load_decoder
from streams.deletion import Deleting
from streams.delivery.foreign import ChangelogReplaced
from streams.engine.positions import PositionAhead
from streams.follower import Follower
from streams.kafka import aiokafka_config
from streams.learner import Learner
from streams.model import new_model
from streams.model_thread import ModelThread
from streams.ranking import ThreadRanker
from streams.sessions import NewerState
from streams.settings import Settings, SettingsError
from streams.snapshots import SnapshotWriter, position_to_start, restore_newest
from streams.telemetry import Telemetry
from streams.topics import describe_topics, events_retention_ms, topic_problems

log = structlog.get_logger(__name__)

REFUSED = 2
FAILED = 70
STOP_WITHIN_S = 8.0
REFUSALS = (NewerState, ChangelogReplaced, PositionAhead)
"""What another start would not mend."""
GC_THRESHOLD = 100_000


class Worker:
    """Everything that one worker process runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = event_decoder(settings)
        self._telemetry = Telemetry()
        self._catalogue = Catalogue()
        self._thread = ModelThread()
        self._model = new_model(settings)
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit code."""
        settings, telemetry = self._settings, self._telemetry
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        topics = await asyncio.to_thread(describe_topics, settings)
        if problems := topic_problems(settings, topics):
            for problem in problems:
                log.error("topics_refused", problem=problem)
            return REFUSED
        if settings.metrics_port:
            telemetry.serve(settings.metrics_host, settings.metrics_port)
        learner, firsts = await self._rebuild()
        if self._stop.is_set():
            return 0
        ranker = ThreadRanker(self._model, self._thread, self._catalogue)
        deleting = Deleting(hash_secret(settings), events_retention_ms(settings, topics))
        application = Application(settings, self._decoder, ranker, self._catalogue, telemetry, learner, deleting, self._fail)
        await application.start()
        if self._model.step_size:
            app = application.app
            writer = SnapshotWriter(
                settings, learner, telemetry, application.delivery, lambda: app.consumer_generation_id,
                lambda: application.elected, firsts,
            )  # fmt: skip
            self._spawn(writer.run())
        log.info("ready", items=self._model.vocabulary_size, steps=self._model.steps)
        _spare_the_collector()
        telemetry.ready.set(1)
        await self._stop.wait()
        telemetry.ready.set(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait_for(application.stop(), STOP_WITHIN_S)
        if self._failure is not None:
            return FAILED
        log.info("stopped")
        return 0

    async def _rebuild(self) -> tuple[Learner, list[int]]:
        """The model is a function of the transitions log: read its newest snapshot and go on from there, before joining.

        Returns the learner, and where the snapshots in the log begin.
        """
        settings, config = self._settings, aiokafka_config(self._settings)
        await self._thread.background(self._model.warmup)
        restored = await restore_newest(settings, self._model, self._telemetry) if self._model.step_size else None
        start = await position_to_start(settings, restored)
        if restored is not None:
            self._model = restored.model
        learner = Learner(settings.model, self._model, self._thread, self._telemetry, start or 0)
        items = Follower(settings.topic("items"), config, self._apply_items)
        transitions = Follower(settings.topic("transitions"), config, learner.apply, max_records=500, start=start)
        self._spawn(items.run())
        followers = [items]
        if self._model.step_size:
            self._spawn(transitions.run())
            self._spawn(self._watch_learning(transitions))
            followers.append(transitions)
        for follower in followers:
            waits = asyncio.ensure_future(follower.caught_up.wait())
            stops = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({waits, stops}, return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            stops.cancel()
        log.info("model_rebuilt", steps=self._model.steps, items=self._model.vocabulary_size, from_offset=start or 0)
        return learner, restored.firsts if restored is not None else []

    async def _apply_items(self, records: Any) -> None:
        for record in records:
            try:
                self._catalogue.apply(record.key, record.value)
            except BadRecord as bad:
                log.warning("bad_item", reason=bad.reason, partition=record.partition, offset=record.offset)
        self._telemetry.catalogue.set(len(self._catalogue))

    async def _watch_learning(self, transitions: Follower) -> None:
        """A learner that is far behind gets every second turn of the model thread."""
        while True:
            self._telemetry.learner_lag.set(transitions.lag)
            self._thread.yield_every_second_turn = transitions.lag > 20 * self._model.step_size
            await asyncio.sleep(0.25)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Nothing is acknowledged after an error: the process ends and the same records come again."""
        if isinstance(error, REFUSALS):
            log.error("refused", reason=str(error))
        else:
            log.error("failed", error=repr(error), exc_info=error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(REFUSED if isinstance(error, REFUSALS) else FAILED)


def event_decoder(settings: Settings) -> EventDecoder:
    """The decoder that the settings ask for. Raises `SettingsError` for a mapping or a hook that is none."""
    try:
        hook = load_decoder(settings.decoder) if settings.decoder else None
        return EventDecoder(
            settings.field_mapping, hook, max_bytes=settings.max_record_bytes, max_ahead_ms=int(settings.max_ahead_s * 1000)
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def hash_secret(settings: Settings) -> bytes:
    """The secret of hashes of users; without a setting it is the group's name, which is none."""
    return settings.hash_key.get_secret_value().encode() if settings.hash_key else settings.app_id.encode()


def _spare_the_collector() -> None:
    """What start-up made stays for good; a unit makes tens of thousands of objects, all of them freed by reference count."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def run_worker(settings: Settings) -> int:
    """Run one worker in this process; returns its exit code. Raises `SettingsError` before anything has begun."""

    async def main() -> int:
        try:
            return await Worker(settings).run()
        except REFUSALS as error:
            log.error("refused", reason=str(error))
            return REFUSED

    return asyncio.run(main())
