"""The Faust app: its `recommend` agent takes each unit of work through the journey and acknowledges it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from streams.accuracy import LiveAccuracy
from streams.catalogue import Catalogue
from streams.decode import EventDecoder
from streams.deletion import Deleting
from streams.delivery.exactly_once import ExactlyOnceDelivery, transactional_id
from streams.delivery.foreign import ChangelogCustody
from streams.delivery.leased import LeasedDelivery
from streams.delivery.outbox import NO_HEADERS, Abandoned, Outbox
from streams.delivery.publisher import Publisher
from streams.engine.app import create_app
from streams.engine.stall import StallWatch
from streams.engine.unit import Unit
from streams.follower import read_range
from streams.kafka import aiokafka_config
from streams.pipeline import Pipeline, Ranker
from streams.replica import POPULAR_KEY, InService
from streams.rules import rules_of, topics_of
from streams.settings import Settings
from streams.store import RocksStore, SessionStore
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
        app.fail_stop, app.on_foreign_bytes, app.on_recovered = fail, telemetry.refused_states.inc, telemetry.recovered
        self.publisher = Publisher(lambda: app.producer._producer, app.may_send)
        table = app.sessions
        store = RocksStore(table.data._db_for_partition, table.data.offset_key)
        self._transactions = self._exactly_once(store) if app.exactly_once else None
        self.pipeline = Pipeline(
            decoder=decoder,
            store=store,
            ranker=ranker,
            delivery=self._transactions or self._leased(store),
            catalogue=catalogue,
            accuracy=LiveAccuracy(),
            telemetry=telemetry,
            topics=topics_of(settings),
            rules=rules_of(settings, deleting),
        )
        app.agent(app.events_topic, name="recommend")(self._recommend)
        app.agent(app.learner_topic, name="learner")(self._election)

    def _leased(self, store: SessionStore) -> LeasedDelivery:
        topic = self._settings.topic("sessions-changelog")
        read = partial(read_range, topic, aiokafka_config(self._settings))
        custody = ChangelogCustody(self.publisher, store, read, topic, self._telemetry.foreign_writes.inc)
        return LeasedDelivery(self.publisher, custody, topic)

    def _exactly_once(self, store: SessionStore) -> ExactlyOnceDelivery:
        app, name = self.app, transactional_id(self._settings)

        def new_producer() -> Any:
            return app.producer.new_transactional(name)

        def fence(producer: Any, generation: int) -> None:
            producer._sender.membership = app.consumer.membership(generation)

        def committed(offsets: Mapping[int, int]) -> None:
            app.consumer.committed(offsets)

        return ExactlyOnceDelivery(self._settings, store, new_producer, fence, app.may_send, committed)

    async def start(self) -> None:
        """Join the group; returns when the state is recovered and events flow."""
        if self._transactions is not None:
            await self._transactions.start()
        await self.app.start()
        self._tasks = [asyncio.create_task(self._watch_for_stalls())]
        await self.app.wait_ready()
        self._tasks += [asyncio.create_task(work) for work in (self._measure_lag(), self._publish_popular())]

    async def stop(self) -> None:
        """Finish the unit in hand, commit, leave the group."""
        for task in self._tasks:
            task.cancel()
        await self.app.stop_cleanly()
        if self._transactions is not None:
            await self._transactions.stop()

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
        consumer, lag = self.app.consumer, self._telemetry.lag
        told: set[str] = set()
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            self._telemetry.is_learner.set(self.elected)
            left = {str(partition): found for partition, found in (await consumer.lag()).items()}
            for partition in told - left.keys():  # another worker tells of it now
                lag.remove(partition)
            told = set(left)
            for partition, found in left.items():
                lag.labels(partition).set(found)

    async def _watch_for_stalls(self) -> None:
        """A stale lease is no stall: who cannot reach the group waits for it."""
        app, limit = self.app, self._settings.stall_timeout_s
        watch = StallWatch(limit, app.lease.clock)
        while True:
            await asyncio.sleep(limit / 20)
            progress, behind = await app.consumer.progress()
            if watch.stalled(progress, behind=behind and app.lease.fresh):
                self._fail(TimeoutError(f"no commit and no recovery in {limit:.0f} s, and there is work"))

    async def _publish_popular(self) -> None:
        while True:
            if self.elected:
                value = await self._place.replica.popular(self._settings.published, frozenset(self._catalogue.hidden))
                outbox = Outbox()
                outbox.to(self._settings.topic("recommendations"), 0).append((POPULAR_KEY, value, NO_HEADERS))
                try:
                    await self.publisher.publish(outbox, self.app.consumer_generation_id)
                except Abandoned:
                    log.info("popular_skipped", at=time.time())
            await asyncio.sleep(POPULAR_EVERY_S)
