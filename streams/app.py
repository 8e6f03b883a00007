"""The Faust app: its `recommend` agent takes each unit of work through the journey and acknowledges it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from streams.accuracy import LiveAccuracy
from streams.catalogue import Catalogue
from streams.decode import EventDecoder
from streams.deletion import Deleting
from streams.delivery.foreign import ChangelogCustody
from streams.delivery.leased import LeasedDelivery
from streams.delivery.outbox import NO_HEADERS, Abandoned, Outbox
from streams.engine.app import create_app
from streams.engine.stall import StallWatch
from streams.engine.unit import Unit
from streams.follower import read_range
from streams.kafka import aiokafka_config
from streams.pipeline import Pipeline, Ranker
from streams.replica import POPULAR_KEY, InService
from streams.rules import rules_of, topics_of
from streams.settings import Settings
from streams.store import RocksStore
from streams.telemetry import Telemetry

log = structlog.get_logger(__name__)

POPULAR_EVERY_S = 30.0
LAG_EVERY_S = 0.5


class Application:
    """One worker's Faust app with its agents, and the small tasks beside them."""

    def __init__(
        self,
        settings: Settings,
        decoder: EventDecoder,
        ranker: Ranker,
        catalogue: Catalogue,
        telemetry: Telemetry,
        place: InService,
        deleting: Deleting,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._telemetry = telemetry
        self._place = place
        self._fail = fail
        self._tasks: list[asyncio.Task[None]] = []
        self.app = app = create_app(settings)
        app.fail_stop, app.on_foreign_bytes = fail, telemetry.refused_states.inc
        self.delivery = LeasedDelivery(lambda: app.producer._producer, app.may_send)
        table, changelog = app.sessions, settings.topic("sessions-changelog")
        store = RocksStore(table.data._db_for_partition, table.data.offset_key)
        read = partial(read_range, changelog, aiokafka_config(settings))
        self.pipeline = Pipeline(
            decoder=decoder,
            store=store,
            ranker=ranker,
            delivery=self.delivery,
            custody=ChangelogCustody(self.delivery, store, read, changelog, telemetry.foreign_writes.inc),
            catalogue=catalogue,
            accuracy=LiveAccuracy(),
            telemetry=telemetry,
            topics=topics_of(settings),
            rules=rules_of(settings, deleting),
        )
        app.agent(app.events_topic, name="recommend")(self._recommend)
        app.agent(app.learner_topic, name="learner")(self._election)

    async def start(self) -> None:
        """Join the group; returns when the state is recovered and events flow."""
        await self.app.start()
        self._tasks = [asyncio.create_task(self._watch_for_stalls())]
        await self.app.wait_ready()
        self._tasks += [asyncio.create_task(work) for work in (self._measure_lag(), self._publish_popular())]

    async def stop(self) -> None:
        """Finish the unit in hand, commit, leave the group."""
        for task in self._tasks:
            task.cancel()
        await self.app.stop_cleanly()

    async def _recommend(self, stream: Any) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            unit: Unit = event.value
            try:
                await self.pipeline.process(unit.records, unit.generation)
            except Abandoned:
                self._telemetry.abandoned.inc()
                log.warning("unit_abandoned", generation=unit.generation)
                self.app.consumer.abandon(event.message)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and self.app.should_stop:
                    raise
                self._fail(error)
                raise
            else:
                event.ack()

    async def _election(self, stream: Any) -> None:
        """Being assigned this topic's one partition is being the learner; nothing is ever sent to it."""
        async for _ in stream:
            pass

    @property
    def elected(self) -> bool:
        """Whether this worker is the learner."""
        topic = self._settings.topic("learner")
        return any(tp.topic == topic for tp in self.app.consumer.assignment())

    @property
    def generation(self) -> int:
        """The consumer group's."""
        return int(self.app.consumer_generation_id)

    @property
    def rebalancing(self) -> bool:
        """Whether assignments are in the air."""
        return bool(self.app.rebalancing)

    async def _measure_lag(self) -> None:
        events, consumer, lag = self._settings.topic("events"), self.app.consumer, self._telemetry.lag
        told: set[str] = set()
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            self._telemetry.is_learner.set(self.elected)
            ours = {str(tp.partition): tp for tp in consumer.assignment() if tp.topic == events}
            for partition in told - ours.keys():  # another worker tells of it now
                lag.remove(partition)
            told = set(ours)
            for partition, tp in ours.items():
                lag.labels(partition).set(max(consumer.highwater(tp) - consumer.done(tp), 0))

    async def _watch_for_stalls(self) -> None:
        """A stale lease is no stall: who cannot reach the group waits for it."""
        app, limit = self.app, self._settings.stall_timeout_s
        watch = StallWatch(limit, app.lease.clock)
        while True:
            await asyncio.sleep(limit / 20)
            progress, behind = app.consumer.progress()
            if watch.stalled(progress, behind=behind and app.lease.fresh):
                self._fail(TimeoutError(f"no commit and no recovery in {limit:.0f} s, and there is work"))

    async def _publish_popular(self) -> None:
        while True:
            if self.elected:
                value = await self._place.replica.popular(self._settings.published, frozenset(self._catalogue.hidden))
                outbox = Outbox()
                outbox.to(self._settings.topic("recommendations"), 0).append((POPULAR_KEY, value, NO_HEADERS))
                try:
                    await self.delivery.deliver(outbox, Outbox(), self.app.consumer_generation_id)
                except Abandoned:
                    log.info("popular_skipped", at=time.time())
            await asyncio.sleep(POPULAR_EVERY_S)
