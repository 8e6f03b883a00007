"""The Faust app: its `recommend` agent takes each unit of work through the journey and acknowledges it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from streams.accuracy import LiveAccuracy
from streams.catalogue import Catalogue
from streams.decode import EventDecoder
from streams.delivery.leased import LeasedDelivery
from streams.delivery.outbox import NO_HEADERS, Abandoned, Outbox
from streams.engine.app import create_app
from streams.engine.unit import Unit
from streams.learner import POPULAR_KEY, Learner
from streams.pipeline import Pipeline, Ranker, Rules, Topics
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
        learner: Learner | None,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._telemetry = telemetry
        self._learner = learner
        self._fail = fail
        self._tasks: list[asyncio.Task[None]] = []
        self.app = app = create_app(settings)
        app.fail_stop = lambda reason: fail(RuntimeError(reason))
        self.delivery = LeasedDelivery(lambda: app.producer._producer, app.may_send)
        table = app.sessions
        self.pipeline = Pipeline(
            decoder=decoder,
            store=RocksStore(table.data._db_for_partition, table.data.offset_key),
            ranker=ranker,
            delivery=self.delivery,
            catalogue=catalogue,
            accuracy=LiveAccuracy(),
            telemetry=telemetry,
            topics=Topics(
                settings.topic("recommendations"),
                settings.topic("transitions"),
                settings.topic("dead-letters"),
                settings.topic("sessions-changelog"),
            ),
            rules=Rules(
                int(settings.session_gap_s * 1000), int(settings.session_ttl_s * 1000), settings.published, settings.exclude
            ),
        )
        app.agent(app.events_topic, name="recommend")(self._recommend)
        app.agent(app.learner_topic, name="learner")(self._election)

    async def start(self) -> None:
        """Join the group; returns when the state is recovered and events flow."""
        await self.app.start()
        await self.app.wait_ready()
        self._tasks = [asyncio.create_task(self._measure_lag()), asyncio.create_task(self._publish_popular())]

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
    def _elected(self) -> bool:
        topic = self._settings.topic("learner")
        return any(tp.topic == topic for tp in self.app.consumer.assignment())

    async def _measure_lag(self) -> None:
        events, consumer, lag = self._settings.topic("events"), self.app.consumer, self._telemetry.lag
        told: set[str] = set()
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            self._telemetry.is_learner.set(self._elected)
            ours = {str(tp.partition): tp for tp in consumer.assignment() if tp.topic == events}
            for partition in told - ours.keys():  # another worker tells of it now
                lag.remove(partition)
            told = set(ours)
            for partition, tp in ours.items():
                lag.labels(partition).set(max(consumer.highwater(tp) - consumer.done(tp), 0))

    async def _publish_popular(self) -> None:
        while self._learner is not None:
            if self._elected:
                value = await self._learner.popular(self._settings.published, frozenset(self._catalogue.hidden))
                outbox = Outbox()
                outbox.to(self._settings.topic("recommendations"), 0).append((POPULAR_KEY, value, NO_HEADERS))
                try:
                    await self.delivery.deliver(outbox, Outbox(), self.app.consumer_generation_id)
                except Abandoned:
                    log.info("popular_skipped", at=time.time())
            await asyncio.sleep(POPULAR_EVERY_S)
