"""The worker's life: check, rebuild, join the group, work, and leave it cleanly on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from mode.utils.tracebacks import format_task_stack

from streams.assembly import Application
from streams.delivery.exactly_once import end_left_open
from streams.delivery.foreign import ChangelogReplaced
from streams.engine.pulse import guard_loop
from streams.events.catalogue import Catalogue
from streams.events.decode import BadRecord
from streams.kafka.connection import NoBroker, aiokafka_config
from streams.kafka.follower import Follower
from streams.kafka.permissions import NotAllowed, not_allowed
from streams.kafka.positions import PositionAhead
from streams.kafka.topics import TopicsError, describe_topics, events_retention_ms, topic_problems
from streams.learning.learner import Learner, make_replica
from streams.learning.model import new_model
from streams.learning.model_thread import ModelThread
from streams.learning.ranking import ThreadRanker
from streams.learning.replica import ActiveReplica
from streams.learning.snapshots import model_name, position_to_start, restore_newest
from streams.learning.updates import Updates
from streams.life import State
from streams.observing.telemetry import Telemetry
from streams.rules import event_decoder, hash_secret
from streams.sessions.deletion import Deleting
from streams.sessions.step import NewerState
from streams.settings import Settings, SettingsError
from streams.tasks import Tasks

log = structlog.get_logger(__name__)

REFUSED = 2
FAILED = 70
STOP_WITHIN_S = 8.0
TOLD_WITHIN_S = 5.0
REFUSALS = (NewerState, ChangelogReplaced, PositionAhead, NotAllowed)
"""What another start would not mend."""
GC_THRESHOLD = 100_000


class Worker:
    """Everything that one worker process runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = event_decoder(settings)
        self._telemetry = Telemetry()
        self._telemetry.tell_build(settings)
        self._catalogue = Catalogue()
        self._thread = ModelThread()
        self._stop = asyncio.Event()
        self._tasks = Tasks(self.fail)
        self._application: Application | None = None
        self._stopped = False

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit code."""
        settings, telemetry = self._settings, self._telemetry
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        guard_loop(loop, settings.stall_timeout_s, self._fail_blocked)
        topics = await asyncio.to_thread(describe_topics, settings)
        if problems := topic_problems(settings, topics):
            for problem in problems:
                log.error("topics_refused", problem=problem)
            return REFUSED
        if problems := await asyncio.to_thread(not_allowed, settings, topics):
            for problem in problems:
                log.error("not_allowed", problem=problem)
            return REFUSED
        if settings.metrics_port:
            telemetry.serve(settings.metrics_host, settings.metrics_port)
        if settings.delivery == "exactly_once":
            await end_left_open(settings)
        active = await self._rebuild()
        if self._stop.is_set():
            return 0
        ranker = ThreadRanker(active, self._thread, self._catalogue, telemetry)
        deleting = Deleting(hash_secret(settings), events_retention_ms(settings, topics))
        application = self._application = Application(
            settings, self._decoder, ranker, self._catalogue, telemetry, active, deleting, self._tasks
        )
        await application.start()
        if active.replica.model.step_size:
            learner = Learner(settings, active, self._thread, telemetry, application.publisher, application, self._tasks)
            self._tasks.spawn(learner.run())
        log.info("ready", items=active.replica.model.vocabulary_size, steps=active.replica.model.steps)
        _spare_the_collector()
        telemetry.process.ready.set(1)
        await self._stop.wait()
        telemetry.process.ready.set(0)
        self._tasks.cancel()
        await stop_within(STOP_WITHIN_S, application.stop(), self.fail)
        self._stopped = True
        log.info("stopped")
        return 0

    @property
    def state(self) -> State:
        """Where this worker stands in its life."""
        if self._stopped:
            return State.STOPPED
        if self._stop.is_set():
            return State.LEAVING
        return State.STARTING if self._application is None else self._application.state

    def _leave(self) -> None:
        """Begin to stop. Errors of background tasks must not cut that short."""
        self._tasks.closing()
        self._stop.set()

    async def _rebuild(self) -> ActiveReplica:
        """A replica from the newest snapshot, the updates after it and the transitions after it, before joining."""
        settings, telemetry, config = self._settings, self._telemetry, aiokafka_config(self._settings)
        model = new_model(settings)
        await self._thread.background(model.warmup)
        restored = await restore_newest(settings, model, telemetry) if model.step_size else None
        start = await position_to_start(settings, restored)
        if restored is not None:
            model = restored.model
        replica = make_replica(settings, model, self._thread, telemetry, start)
        items = Follower(settings.topic("items"), config, self._apply_items)
        followers = [items]
        self._tasks.spawn(items.run())
        if not model.step_size:
            active = ActiveReplica(replica)
        else:
            active = ActiveReplica(replica, self._tasks.spawn(replica.run()))
            self._tasks.spawn(self._watch_learning(active))
            topic, began = settings.topic("model-updates"), 0
            if restored is not None:
                active.epoch, began = restored.manifest.epoch, restored.manifest.updates_offset
            updates = Updates(topic, config, active, telemetry, model_name(settings), start=began)
            self._tasks.spawn(updates.follower.run())
            followers += [replica.follower, updates.follower]
        for follower in followers:
            waits = asyncio.ensure_future(follower.caught_up.wait())
            stops = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({waits, stops}, return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            stops.cancel()
        log.info("model_rebuilt", steps=model.steps, items=model.vocabulary_size, from_offset=start or 0)
        return active

    async def _apply_items(self, records: Any) -> None:
        refused: Counter[str] = Counter()
        for record in records:
            try:
                self._catalogue.apply(record.key, record.value)
            except BadRecord as bad:
                refused[bad.reason] += 1
        if refused:
            log.warning("bad_items", partition=records[0].partition, before=records[-1].offset + 1, **refused)
        self._telemetry.model.catalogue.set(len(self._catalogue))

    async def _watch_learning(self, active: ActiveReplica) -> None:
        """A learner that is far behind gets every second turn of the model thread."""
        while True:
            self._telemetry.model.learner_lag.set(active.lag)
            self._thread.yield_every_second_turn = active.behind
            await asyncio.sleep(0.25)

    def fail(self, error: BaseException) -> None:
        """End the process at once: nothing is acknowledged after an error, and the same records come again."""
        code = _tell_end(error, self.state)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _fail_blocked(self, error: BaseException) -> None:
        """The same from another thread; the loop may be blocked in the very log that this writes to."""
        last = threading.Timer(TOLD_WITHIN_S, os._exit, [FAILED])
        last.daemon = True
        last.start()
        self.fail(error)


def _tell_end(error: BaseException, state: State) -> int:
    """Log why a worker ends, and return its exit code."""
    if isinstance(error, REFUSALS):
        log.error("refused", reason=str(error), state=state)
        return REFUSED
    log.error("failed", error=repr(error), state=state, exc_info=error)
    return FAILED


async def stop_within(seconds: float, stop: Coroutine[Any, Any, None], fail: Callable[[BaseException], None]) -> None:
    """Await ``stop``, or call ``fail``. Cancelling it might not end it: Faust's services swallow cancellations."""
    stopping = asyncio.ensure_future(stop)
    await asyncio.wait({stopping}, timeout=seconds)
    if not stopping.done():
        log.error("not_stopped", tasks=[format_task_stack(task) for task in asyncio.all_tasks()])
        fail(TimeoutError(f"not stopped within {seconds:.0f} s"))
        return
    stopping.result()


def _spare_the_collector() -> None:
    """What start-up made stays for good; a unit makes tens of thousands of objects, all of them freed by reference count."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def run_worker(settings: Settings) -> int:
    """Run one worker in this process; returns its exit code.

    Raises `SettingsError`, `NoBroker` and `TopicsError` before anything has begun.
    """

    async def main() -> int:
        worker = Worker(settings)
        try:
            return await worker.run()
        except (SettingsError, NoBroker, TopicsError):
            raise
        except Exception as error:
            return _tell_end(error, worker.state)

    return asyncio.run(main())
